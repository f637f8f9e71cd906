"""What happens in a run, as data: the runner tells, the command line shows (or a test looks)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triveni.controller.quota import Charge, Ledger
from triveni.local.reports import WorkerReport


@dataclass(frozen=True, slots=True)
class EpochBegan:
    """An epoch may answer `granted` requests, None is no limit."""

    epoch: int
    granted: int | None


@dataclass(frozen=True, slots=True)
class StepBegan:
    """Something that takes time begins; one step at a time."""

    epoch: int
    step: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """The step is done."""

    epoch: int
    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Fetching:
    """`done` bytes of the model are here, of `total`; None if the server does not say. `problem`: why it broke."""

    epoch: int
    done: int
    total: int | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """Clients can ask now, with the connection file; `seconds` since the epoch began."""

    epoch: int
    connection: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """Request `number` of the run (from 1, over all epochs) is answered."""

    number: int


@dataclass(frozen=True, slots=True)
class Said:
    """A companion process wrote a line to its output."""

    name: str
    line: str


@dataclass(frozen=True, slots=True)
class CompanionEnded:
    """A companion process ended; `last_words` are the end of its log."""

    name: str
    code: int
    last_words: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A process of the epoch wrote a line to its log."""

    name: str
    line: str


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """An epoch is over and charged; `why` says it in words."""

    charge: Charge
    reports: tuple[WorkerReport | None, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """The next epoch begins in `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A run that came to its end. `last_status` is what the workers of the last epoch said about themselves last."""

    ledger: Ledger
    served: int
    epochs: tuple[EpochEnded, ...]
    seconds: float
    last_status: tuple[Mapping[str, Any] | None, ...]


Event = (
    EpochBegan
    | StepBegan
    | StepEnded
    | Fetching
    | Serving
    | Served
    | Said
    | CompanionEnded
    | LogLine
    | EpochEnded
    | Retrying
    | Summary
)

Tell = Callable[[Event], None]
