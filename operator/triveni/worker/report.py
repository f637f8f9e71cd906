"""The final report: what a worker says when it ends, and the receipt of what it erased."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from triveni.api import termination
from triveni.worker.config import Config
from triveni.worker.quota import Count
from triveni.worker.state import Ending


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

    def write(self, path: Path) -> None:
        """Write the report as the last words of a container; OSError if it cannot be written."""
        termination.write(path, asdict(self))
