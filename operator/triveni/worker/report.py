"""The final report: what a worker says when it ends, and the receipt of what it erased."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from triveni.worker.config import Config
from triveni.worker.quota import Count
from triveni.worker.state import Ending

MAX_BYTES = 4096
"""Of a termination message of which there is more, Kubernetes keeps the end, which is no JSON."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Says that keys, weights and values of the epoch were overwritten, when, and how many bytes that were."""

    epoch: int
    party: int
    erased_at: str
    program_digest: str
    bytes_erased: int

    @classmethod
    def of(cls, config: Config, program_digest: str, bytes_erased: int, now: datetime) -> Receipt:
        """The receipt of this worker."""
        return cls(config.epoch, config.party, now.isoformat(timespec="milliseconds"), program_digest, bytes_erased)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known of the epoch at its end. `erased` is true as well where there was nothing to erase."""

    epoch: int
    party: int
    admitted: int
    answered: int
    erased: bool
    reason: str
    message: str
    runs: int
    rounds: int
    bytes_sent: int
    receipt: Receipt | None

    @classmethod
    def of(
        cls,
        config: Config,
        count: Count,
        ending: Ending,
        *,
        erased: bool = True,
        runs: int = 0,
        rounds: int = 0,
        bytes_sent: int = 0,
        receipt: Receipt | None = None,
    ) -> Report:
        """The report of this worker."""
        return cls(
            config.epoch,
            config.party,
            count.admitted,
            count.answered,
            erased,
            ending.reason.value,
            ending.message,
            runs,
            rounds,
            bytes_sent,
            receipt,
        )

    def encoded(self) -> bytes:
        """The report as one line of JSON of at most `MAX_BYTES`; a message that is too long is cut."""
        report = self
        while len(text := (json.dumps(asdict(report)) + "\n").encode()) > MAX_BYTES:
            message = report.message
            report = replace(report, message=f"{message[: len(message) * 7 // 8 - 3]}...")
        return text

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all.

        A Kubernetes termination message is a single file mounted into the container, which no rename can replace: that
        one is written in place, in one write.
        """
        text = self.encoded()
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                try:
                    file.write(text)
                    file.close()
                    os.replace(file.name, path)
                except OSError:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError:
            path.write_bytes(text)
