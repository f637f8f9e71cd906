"""Why a model could not be shared: one type for each reason, with the fields that the sentence is made from.

No field ever holds a weight or a credential. `reason` is the word that goes into the report and into a condition of the
SecureModel, `permanent` says whether another try is of use, and nothing else decides that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from triveni.mpc.architecture import INPUT
from triveni.mpc.input_range import InputRange
from triveni.mpc.ranges import Reach, power

NOT_NOW = frozenset({"NotReady", "EpochEnded", "Busy"})
"""Refusals of a worker that are about this moment or this epoch, not about what it was given."""


class SharingFailure(Exception):
    """The base of them all."""

    reason: ClassVar[str]

    @property
    def permanent(self) -> bool:
        """Whether it would happen again with the same SecureModel, however often it is tried."""
        return True

    def report(self) -> dict[str, Any]:
        """What is told to whoever started the job."""
        return {"reason": self.reason, "message": str(self), "permanent": self.permanent}


class Transient(SharingFailure):
    """A failure that the next try may not meet."""

    @property
    def permanent(self) -> bool:
        """No."""
        return False


@dataclass(eq=False)
class SourceNotFound(SharingFailure):
    """There is no model file where it should be; `source` says where that is."""

    reason: ClassVar[str] = "SourceNotFound"
    source: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"


@dataclass(eq=False)
class SourceRefused(SharingFailure):
    """Whoever has the model file does not give it to us, or cannot be trusted."""

    reason: ClassVar[str] = "SourceRefused"
    source: str
    problem: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}; {self.way_out}"


@dataclass(eq=False)
class SourceUnreachable(Transient):
    """Whoever has the model file cannot be reached, or did not give all of it."""

    reason: ClassVar[str] = "SourceUnreachable"
    source: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"


@dataclass(eq=False)
class SourceTooLarge(SharingFailure):
    """The file is larger than a model that can be served."""

    reason: ClassVar[str] = "SourceTooLarge"
    source: str
    limit: int

    def __str__(self) -> str:
        return f"{self.source} is larger than {self.limit >> 20} MiB, the most that is read; is it the model file?"


@dataclass(eq=False)
class NotAKerasFile(SharingFailure):
    """The file is something else than what Keras writes for a whole model, or more than is read of one."""

    reason: ClassVar[str] = "NotAKerasFile"
    source: str
    problem: str
    way_out: str = "Write one with model.save('model.keras')"

    def __str__(self) -> str:
        return f"{self.source} is not a Keras model file: {self.problem}. {self.way_out}"


@dataclass(eq=False)
class TruncatedFile(SharingFailure):
    """The file begins as a Keras file and ends too early, or its bytes were changed on the way."""

    reason: ClassVar[str] = "TruncatedFile"
    source: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source} is incomplete: {self.problem}. Copy the file again"


@dataclass(eq=False)
class DigestMismatch(SharingFailure):
    """The file is not the one that the SecureModel names."""

    reason: ClassVar[str] = "DigestMismatch"
    source: str
    got: str
    expected: str

    def __str__(self) -> str:
        return f"{self.source} has the digest {self.got}, but {self.expected} is expected"


@dataclass(eq=False)
class UnsupportedLayer(SharingFailure):
    """A layer, or an option of it, that cannot be computed on shares here; and the `others` of the same model."""

    reason: ClassVar[str] = "UnsupportedLayer"
    layer: str
    problem: str
    way_out: str = ""
    others: tuple[UnsupportedLayer, ...] = ()

    SHOWN: ClassVar[int] = 5

    def __str__(self) -> str:
        sentences = [f"layer '{self.layer}': {self.problem}" + (f"; {self.way_out}" if self.way_out else "")]
        sentences += map(str, self.others[: self.SHOWN])
        if len(self.others) > self.SHOWN:
            sentences.append(f"{len(self.others) - self.SHOWN} more layers")
        return ". Also ".join(sentences)


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
class ValuesDoNotFit(SharingFailure):
    """For some input of the declared range a value may be too large for the protocol; `reach` says where, how large."""

    reason: ClassVar[str] = "ValuesDoNotFit"
    reach: Reach
    protocol: str
    inputs: InputRange

    def __str__(self) -> str:
        reach = self.reach
        place = "" if reach.layer == INPUT else f"layer '{reach.layer}': "
        other = "protocol ABY3, which carries larger ones" if self.protocol != "ABY3" else "smaller weights"
        return (
            f"{place}with inputs from {self.inputs}, {reach.what} may be as large as {power(reach.bound)}, and "
            f"{self.protocol} carries less than {power(reach.below)}. Use {other}, or normalise the inputs and give "
            "their narrower range"
        )


@dataclass(eq=False)
class WorkerUnreachable(Transient):
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

    @property
    def permanent(self) -> bool:
        """Unless it is only about this moment."""
        return self.worker_reason not in NOT_NOW

    def report(self) -> dict[str, Any]:
        """With the worker's own reason."""
        return {**super().report(), "worker_reason": self.worker_reason}

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
class CredentialsUnreadable(Transient):
    """The certificate or key of the sharing job itself is missing or damaged; the next epoch has others."""

    reason: ClassVar[str] = "CredentialsUnreadable"
    directory: str
    problem: str

    def __str__(self) -> str:
        return f"credentials in {self.directory}: {self.problem}"


class Interrupted(Transient):
    """Somebody stopped the job (Ctrl-C, SIGTERM) before it was done."""

    reason: ClassVar[str] = "Interrupted"

    def __str__(self) -> str:
        return "stopped before every worker had its share"
