"""What can go wrong with a prediction: one type for each, with the fields that the sentence is made from.

No field ever holds a part of an input or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class ClientError(Exception):
    """The base of them all."""


@dataclass(eq=False)
class InvalidConnection(ClientError):
    """The connection file is not one, or its credentials cannot be used."""

    path: str
    field: str
    way_out: str

    def __str__(self) -> str:
        return f"connection {self.path}: {self.field}: {self.way_out}"


@dataclass(eq=False)
class WrongInput(ClientError):
    """An input that cannot be predicted; nothing was sent. `value` says what is wrong with it, not what it holds."""

    field: str
    value: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.field} is {self.value}: {self.way_out}"


@dataclass(eq=False)
class QuotaReached(ClientError):
    """The request quota of the SecureModel is reached, or fewer requests are left than were asked for."""

    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class RequestRefused(ClientError):
    """A worker refused for good; `reason` is the word of the protocol for it."""

    party: int
    reason: str
    message: str

    def __str__(self) -> str:
        return f"worker {self.party} refused the request ({self.reason}): {self.message}"


@dataclass(eq=False)
class WorkersUnreachable(ClientError):
    """The three workers of one epoch could not be found serving in time; `problems` says why, by party."""

    problems: Mapping[int, str]
    seconds: float

    def __str__(self) -> str:
        why = "; ".join(f"worker {party}: {problem}" for party, problem in sorted(self.problems.items()))
        return f"the workers did not serve within {self.seconds:g} s ({why or 'no answer'})"


@dataclass(eq=False)
class DeadlineExceeded(ClientError):
    """The workers took the request and did not answer it in time. It may have been charged."""

    seconds: float

    def __str__(self) -> str:
        return f"no answer within {self.seconds:g} s"


@dataclass(eq=False)
class WrongWorker(ClientError):
    """Somebody else answers where a worker should be. No share was sent to it."""

    party: int
    address: str
    problem: str

    def __str__(self) -> str:
        return f"worker {self.party} at {self.address}: {self.problem}"


@dataclass(eq=False)
class WorkersDisagree(ClientError):
    """The workers of one epoch describe different models; nothing was sent. `values` are theirs, by party."""

    field: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"the workers differ in {self.field}: {', '.join(self.values)}"


@dataclass(eq=False)
class ModelChanged(ClientError):
    """Between two epochs the model got other shapes, inputs or another protocol; nothing was sent to the new one."""

    before: int
    after: int

    def __str__(self) -> str:
        return (
            f"the model of epoch {self.after} has other shapes, other inputs or another protocol than that of epoch "
            f"{self.before}: predict again"
        )


@dataclass(eq=False)
class WrongAnswer(ClientError):
    """A worker's answer is not what the protocol says."""

    party: int
    problem: str

    def __str__(self) -> str:
        return f"the answer of worker {self.party} cannot be used: {self.problem}"


@dataclass(eq=False)
class AnswersDisagree(ClientError):
    """The two holders of a component gave different ones: a worker computed wrongly, and the answer is discarded.

    `workers` are those that may be at fault; one alone if the answers tell.
    """

    components: tuple[int, ...]
    workers: tuple[int, ...]

    def __str__(self) -> str:
        who = " or ".join(map(str, self.workers))
        return f"the answer shares do not fit together: worker {who} computed wrongly, the answer is discarded"
