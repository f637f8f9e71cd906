"""A served example whose workers write down all that they receive, and what they have written once they have ended."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.integration.cluster import Cluster
from tests.integration.secrecy import transcript
from tests.integration.secrecy.transcript import Run
from triveni.api.inference import HEADER_LENGTH

Mutation = tuple[int, int, str, list[list[int]]]
"""First run, last run, `zero` or `frozen`, and whose keystreams; see `recording_worker`."""


@dataclass(frozen=True)
class Recording:
    """What three workers have written down."""

    directory: Path

    def connections(self, party: int) -> list[bytes]:
        """All that a worker has read, connection by connection."""
        files = sorted(path for path in self._folder(party).iterdir() if path.name != "transcript")
        return [path.read_bytes() for path in files]

    def shares(self, party: int) -> tuple[bytes, bytes]:
        """What the sharing job handed over: the description of the tensors, and their words."""
        (handed,) = (data for data in self.connections(party) if data.startswith(b"PUT /triveni/v1/shares "))
        headers, _, body = handed.partition(b"\r\n\r\n")
        (length,) = re.findall(rb"(?i)\r\n" + HEADER_LENGTH.encode() + rb": *([0-9]+)", headers)
        return body[: int(length)], body[int(length) :]

    def setup(self, party: int) -> list[bytes]:
        """What the peers sent once for the epoch."""
        return transcript.setup(self._folder(party) / "transcript")

    def own_files(self, party: int) -> dict[str, bytes]:
        """What a worker says of itself: its log, at level debug, and its report."""
        names = (f"worker-{party}.log", f"report-{party}.json")
        return {name: (self.directory / name).read_bytes() for name in names}

    @cache  # noqa: B019 (as many as there are workers, for as long as the tests)
    def runs(self, party: int) -> list[Run]:
        """The transcripts of all requests, in order."""
        return transcript.runs(self._folder(party) / "transcript")

    def _folder(self, party: int) -> Path:
        return recording_folder(self.directory, str(party))


def recording_folder(directory: Path, party: str) -> Path:
    """Where a worker writes down what it receives."""
    return directory / f"received-{party}"


def recording_cluster(directory: Path, programs: Path, mutations: Sequence[Mutation] = (), **config: Any) -> Cluster:
    """A cluster of workers that write down what they receive, with keystreams spoiled as `mutations` say."""
    spoil = json.dumps(mutations)
    worker = ("-m", "tests.integration.secrecy.recording_worker", str(recording_folder(directory, "{party}")), spoil)
    return Cluster(directory, programs, worker=worker, log_level="debug", **config)
