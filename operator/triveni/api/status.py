"""The status of a SecureModel: what the operator says about it, and all that it remembers from one life to the next.

Read back from the API server leniently (a newer operator may have written more), written exactly. It holds counts,
names and reasons; never a share, a key or a weight.

Two things only ever grow, whoever writes: the number of the epoch, which would otherwise be used twice, and what is
charged to the quota. The API server itself refuses a status that takes them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

from triveni.api.strict import rule, ruled

MAX_CHARGES = 10
MAX_RECEIPTS = 3

MOST = 2**53 - 1
"""The largest number that every reader of JSON reads exactly."""

Count = Annotated[int, Field(ge=0, le=MOST)]

EpochNumber = Annotated[int, Field(ge=1, le=MOST)]

Party = Annotated[int, Field(ge=0, le=2)]

Time = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def time_text(moment: datetime) -> str:
    """A moment as Kubernetes writes it, to the millisecond: a back-off is shorter than a second at times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_of(text: str) -> datetime:
    """The moment that a status holds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class ConditionType(StrEnum):
    """The conditions of a SecureModel; all six are there from the first sight of it on."""

    ACCEPTED = "Accepted"
    WORKERS_READY = "WorkersReady"
    SHARED = "Shared"
    READY = "Ready"
    QUOTA_REACHED = "QuotaReached"
    PARTIES_INDEPENDENT = "PartiesIndependent"


class Phase(StrEnum):
    """How far an epoch is. Each step is written down before what it allows is done."""

    STARTING = "Starting"
    """The grant stands; the three worker pods are being created. No share can be anywhere."""
    STARTED = "Started"
    """The three pods exist; from now on one that is missing has been lost, and none is created again."""
    SHARING = "Sharing"
    """The sharing job, or the owner in its place, may have begun: requests may be answered until the epoch ends."""
    SERVING = "Serving"
    """The three workers hold their shares; the sharing job has done its work, and none is needed again."""
    ENDING = "Ending"
    """Something ended the epoch; its workers are ending, and their reports are awaited."""
    ENDED = "Ended"
    """It is charged. Its objects are deleted."""


class Written(BaseModel):
    """Camel case on the wire; unknown fields are passed over; nothing is changed afterwards."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="ignore",
        frozen=True,
    )


class Condition(Written):
    """One condition, as Kubernetes defines them for all resources (metav1.Condition)."""

    type: ConditionType = Field(description="Which condition it is.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=1024)] = Field(
        description="Why, in one word for programs."
    )
    message: Annotated[str, StringConstraints(max_length=32768)] = Field(
        description="Why, and what to do about it, in words for people."
    )
    last_transition_time: Time = Field(description="When `status` last changed.")
    observed_generation: Count | None = Field(
        default=None, description="Generation of the SecureModel that it is about."
    )


class EpochStatus(Written):
    """The newest epoch."""

    model_config = ruled(rule("self.number >= oldSelf.number", "an epoch's number is never used again"))

    number: EpochNumber = Field(description="Number of the epoch; counted from 1 and never used again.")
    grant: Count | None = Field(default=None, description="How many requests it may answer; no limit if left out.")
    phase: Phase = Field(
        description=(
            "Starting: its pods are being made; Started: all are there; Sharing: the model is being shared; "
            "Serving: it has been shared; Ending: its workers are ending; Ended: it is charged."
        )
    )
    started_at: Time = Field(description="When it was granted.")
    ending_at: Time | None = Field(default=None, description="When it was noticed that it ends.")
    reason: str | None = Field(default=None, description="Why it ends, in one word for programs.")
    message: str | None = Field(default=None, description="Why it ends, in words for people.")
    reached: Phase = Field(default=Phase.STARTING, description="The furthest phase that it came to before its end.")
    model_hash: str = Field(description="Hash of the parts of the spec of which a change means a new epoch.")
    authority: str | None = Field(
        default=None, description="SHA-256 of the certificate of the authority that its certificates come from."
    )

    @property
    def may_have_answered(self) -> bool:
        """Whether somebody may have begun to hand over shares: before that, nobody can have been answered."""
        return self.reached in (Phase.SHARING, Phase.SERVING)

    @property
    def served(self) -> bool:
        """Whether it came to serve."""
        return self.reached is Phase.SERVING


class QuotaStatus(Written):
    """The account of the request quota."""

    model_config = ruled(rule("self.charged >= oldSelf.charged", "what is charged to the quota is never taken back"))

    charged: Count = Field(description="Requests charged to epochs that have ended.")
    remaining: Count | None = Field(
        default=None, description="Requests that may still be answered; no limit if left out."
    )


class FailureStatus(Written):
    """Epochs that ended without an answer, one after the other, and what is done about it."""

    count: Count = Field(description="How many epochs in a row ended without an answer.")
    unserved: Count = Field(default=0, description="How many epochs in a row never came to serve.")
    retry_at: Time | None = Field(default=None, description="Not before this time does the next epoch begin.")
    blocked_generation: Count | None = Field(
        default=None, description="No epoch begins while the spec still has this generation."
    )
    reason: str = Field(description="Why the last one ended, in one word for programs.")
    message: str = Field(description="Why the last one ended, in words for people.")


class WorkerCharge(Written):
    """What one worker said of its requests when it ended."""

    party: Party = Field(description="Which worker.")
    admitted: Count | None = Field(default=None, description="Requests that it took in; unknown if left out.")
    answered: Count | None = Field(default=None, description="Requests whose answer it released; unknown if left out.")
    reason: str | None = Field(default=None, description="Why it ended, in one word; left out if it gave no report.")


class ChargeStatus(Written):
    """How one ended epoch was charged."""

    epoch: EpochNumber = Field(description="Number of the epoch.")
    granted: Count | None = Field(default=None, description="What was granted to it; no limit if left out.")
    rows: Count = Field(description="Requests charged for it.")
    why: str = Field(description="Why that many.")
    ended: str = Field(description="Why the epoch ended, in one word for programs.")
    at: Time = Field(description="When it was charged.")
    workers: Annotated[Sequence[WorkerCharge], Field(max_length=3)] = Field(
        default=[], description="What each worker said.", json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )


class ReceiptStatus(Written):
    """What a worker said when it had erased its shares."""

    epoch: EpochNumber = Field(description="Number of the epoch.")
    party: Party = Field(description="Which worker.")
    erased_at: Time = Field(description="When it had erased them.")
    program_digest: str = Field(description="SHA-256 of the program that it had executed.")
    bytes_erased: Count = Field(description="How many bytes it overwrote.")


class Status(Written):
    """What the operator says about a SecureModel. Only the operator writes it."""

    model_config = ruled(
        rule("!has(oldSelf.epoch) || has(self.epoch)", "an epoch's number is never forgotten"),
        rule("!has(oldSelf.quota) || has(self.quota)", "what is charged to the quota is never forgotten"),
    )

    observed_generation: Count | None = Field(
        default=None, description="Generation of the SecureModel that this status is about."
    )
    conditions: Sequence[Condition] = Field(
        default=[],
        description="Accepted, WorkersReady, Shared, Ready, QuotaReached and PartiesIndependent, with reasons.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    served: Count = Field(default=0, description="Requests answered so far, as far as is known.")
    epoch: EpochStatus | None = Field(default=None, description="The newest epoch.")
    quota: QuotaStatus | None = Field(default=None, description="The account of the request quota.")
    failures: FailureStatus | None = Field(default=None, description="Epochs that ended without an answer.")
    charges: Annotated[Sequence[ChargeStatus], Field(max_length=MAX_CHARGES)] = Field(
        default=[],
        description="How the newest epochs were charged, the newest last.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    receipts: Annotated[Sequence[ReceiptStatus], Field(max_length=MAX_RECEIPTS)] = Field(
        default=[],
        description="What the workers of the last epoch said when they had erased their shares.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    client_secret: str | None = Field(
        default=None, description="Secret of the same namespace with the certificate and addresses that a client needs."
    )

    @classmethod
    def read(cls, document: object) -> Self:
        """The status of an object from the API server; an object without one has the empty status.

        Raises:
            pydantic.ValidationError: somebody else has written it.
        """
        return cls.model_validate(document or {}, by_alias=True, by_name=False)

    def wire(self) -> dict[str, Any]:
        """The document that is written: what is not known is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type."""
        return next((condition for condition in self.conditions if condition.type is kind), None)
