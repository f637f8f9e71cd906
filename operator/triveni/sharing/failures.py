"""Why a model could not be shared: one type for each reason, with the fields that the sentence is made from.

No field ever holds a weight. `reason` is the word that goes into the report and into a condition of the SecureModel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class SharingFailure(Exception):
    """The base of them all."""

    reason: ClassVar[str]


@dataclass(eq=False)
class SourceNotFound(SharingFailure):
    """The model file cannot be opened."""

    reason: ClassVar[str] = "SourceNotFound"
    path: str
    problem: str

    def __str__(self) -> str:
        return f"model file {self.path}: {self.problem}"


@dataclass(eq=False)
class NotAKerasFile(SharingFailure):
    """The file is something else than what ``model.save('model.keras')`` of Keras 3 writes."""

    reason: ClassVar[str] = "NotAKerasFile"
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path} is not a Keras 3 model file: {self.problem}. Write one with model.save('model.keras')"


@dataclass(eq=False)
class TruncatedFile(SharingFailure):
    """The file begins as a Keras file and ends too early, or its bytes were changed on the way."""

    reason: ClassVar[str] = "TruncatedFile"
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path} is incomplete: {self.problem}. Copy the file again"


@dataclass(eq=False)
class DigestMismatch(SharingFailure):
    """The file is not the one that the SecureModel names."""

    reason: ClassVar[str] = "DigestMismatch"
    path: str
    got: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path} has the digest {self.got}, but {self.expected} is expected"


@dataclass(eq=False)
class UnsupportedLayer(SharingFailure):
    """A layer, or an option of it, that cannot be computed on shares here."""

    reason: ClassVar[str] = "UnsupportedLayer"
    layer: str
    problem: str
    way_out: str = ""

    def __str__(self) -> str:
        return f"layer '{self.layer}': {self.problem}" + (f"; {self.way_out}" if self.way_out else "")


@dataclass(eq=False)
class ShapeMismatch(SharingFailure):
    """The weights in the file do not fit the layers in the file."""

    reason: ClassVar[str] = "ShapeMismatch"
    layer: str
    variable: str
    got: str
    expected: str

    def __str__(self) -> str:
        return f"layer '{self.layer}': {self.variable} is {self.got}, but {self.expected} is expected"


@dataclass(eq=False)
class ValueOutOfRange(SharingFailure):
    """A weight that the fixed point cannot carry; `problem` says what is wrong with it, never its value."""

    reason: ClassVar[str] = "ValueOutOfRange"
    variable: str
    problem: str

    def __str__(self) -> str:
        return f"weight {self.variable} {self.problem}"


@dataclass(eq=False)
class WorkerUnreachable(SharingFailure):
    """A worker did not take its share in time."""

    reason: ClassVar[str] = "WorkerUnreachable"
    party: int
    address: str
    problem: str

    def __str__(self) -> str:
        return f"worker {self.party} at {self.address}: {self.problem}"


@dataclass(eq=False)
class WorkerRefused(SharingFailure):
    """A worker answered, and said no."""

    reason: ClassVar[str] = "WorkerRefused"
    party: int
    status: int
    worker_reason: str
    message: str

    def __str__(self) -> str:
        return f"worker {self.party} refused ({self.status} {self.worker_reason}): {self.message}"


@dataclass(eq=False)
class ProgramsDiffer(SharingFailure):
    """The workers compiled different programs; `digests` are theirs, in the order of parties."""

    reason: ClassVar[str] = "ProgramsDiffer"
    digests: Sequence[str]

    def __str__(self) -> str:
        programs = ", ".join(f"worker {party} {digest}" for party, digest in enumerate(self.digests))
        return f"the workers compiled different programs ({programs}): run the same version of Triveni on all three"


@dataclass(eq=False)
class CredentialsUnreadable(SharingFailure):
    """The certificate or key of the sharing job itself is missing or damaged."""

    reason: ClassVar[str] = "CredentialsUnreadable"
    directory: str
    problem: str

    def __str__(self) -> str:
        return f"credentials in {self.directory}: {self.problem}"


class Interrupted(SharingFailure):
    """Somebody stopped the job (Ctrl-C, SIGTERM) before it was done."""

    reason: ClassVar[str] = "Interrupted"

    def __str__(self) -> str:
        return "stopped before every worker had its share"
