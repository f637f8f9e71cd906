"""The status of a SecureModel: what the operator writes, and what it knows after a restart.

It is the operator's only memory. Whatever decides about the quota stands here before anything is done about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

KEPT_CHARGES = 10
"""Ended epochs whose charge is kept line by line; of older ones only the sum remains."""

Time = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$")]
"""RFC 3339 in UTC, as Kubernetes writes times."""

Rows = Annotated[int, Field(ge=0)]


class ConditionType(StrEnum):
    """The conditions of a SecureModel; all of them are set when it is first seen."""

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
    """The sharing job may have begun: requests may be answered until the epoch ends."""
    ENDING = "Ending"
    """Something ended the epoch; its workers are ending, and their reports are awaited."""
    ENDED = "Ended"
    """It is charged. Its objects are deleted."""


class Recorded(BaseModel):
    """Camel case on the wire; fields of a newer version are dropped."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="ignore",
        frozen=True,
    )


class Condition(Recorded):
    """A `metav1.Condition`."""

    type: ConditionType = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", max_length=1024)] = (
        Field(description="Why, in one word that programs may compare.")
    )
    message: Annotated[str, StringConstraints(max_length=32768)] = Field(
        description="Why, and what to do about it, for people."
    )
    last_transition_time: Time = Field(description="When `status` last changed.")
    observed_generation: int | None = Field(default=None, description="The generation of the spec that it speaks of.")


class EpochStatus(Recorded):
    """The newest epoch."""

    number: Annotated[int, Field(ge=1)] = Field(description="Counts from 1 and is never used again.")
    grant: Rows | None = Field(default=None, description="Requests that it may answer; absent for no limit.")
    phase: Phase = Field(description="How far it is.")
    started_at: Time = Field(description="When it was granted.")
    ending_at: Time | None = Field(default=None, description="When it was noticed that it ends.")
    reason: str | None = Field(default=None, description="Why it ends, in one word.")
    message: str | None = Field(default=None, description="Why it ends, for people.")
    sharing: bool = Field(default=False, description="Whether its sharing job may have begun to hand over shares.")
    model_hash: str = Field(description="Of the parts of the spec whose change means a new epoch.")
    authority: str | None = Field(default=None, description="SHA-256 of the certificate of its private authority.")


class QuotaStatus(Recorded):
    """The account of the request quota, over all epochs."""

    charged: Rows = Field(default=0, description="Requests charged to ended epochs.")
    remaining: Rows | None = Field(default=None, description="Requests not charged yet; absent for no limit.")


class WorkerCharge(Recorded):
    """What one worker reported at the end of an epoch; counts are absent where it reported nothing."""

    party: Annotated[int, Field(ge=0, le=2)] = Field(description="0, 1 or 2.")
    admitted: Rows | None = Field(default=None, description="Requests that it began to run.")
    answered: Rows | None = Field(default=None, description="Answer shares that it released.")
    reason: str | None = Field(default=None, description="Why it ended, in one word.")


class ChargeStatus(Recorded):
    """How an ended epoch was charged."""

    epoch: Annotated[int, Field(ge=1)] = Field(description="Its number.")
    granted: Rows | None = Field(default=None, description="Requests that it might have answered.")
    rows: Rows = Field(description="Requests charged.")
    why: str = Field(description="Why so many, for people.")
    ended: str = Field(description="Why the epoch ended, in one word.")
    at: Time = Field(description="When it was charged.")
    workers: tuple[WorkerCharge, ...] = Field(default=(), max_length=3, description="What the workers reported.")


class ReceiptStatus(Recorded):
    """A worker's erasure receipt."""

    epoch: Annotated[int, Field(ge=1)] = Field(description="Of the epoch that ended.")
    party: Annotated[int, Field(ge=0, le=2)] = Field(description="Which worker gave it.")
    erased_at: str = Field(description="When the last of its shares was overwritten.")
    program_digest: str = Field(description="SHA-256 of the program that it ran.")
    bytes_erased: Rows = Field(description="Bytes of shares, keys and values that were overwritten.")


class FailureStatus(Recorded):
    """Epochs in a row that came to nothing, and what follows from that."""

    count: Rows = Field(default=0, description="Epochs in a row that ended without an answer.")
    unserved: Rows = Field(default=0, description="Epochs in a row that did not even come to serve.")
    reason: str = Field(description="Why the last one ended, in one word.")
    message: str = Field(description="Why the last one ended, for people.")
    retry_at: Time | None = Field(default=None, description="Not before this time does the next epoch start.")
    blocked_generation: int | None = Field(
        default=None, description="No further epoch starts while the spec has this generation."
    )


class Status(Recorded):
    """What is known of a SecureModel."""

    observed_generation: int | None = Field(default=None, description="The newest generation that was acted upon.")
    conditions: tuple[Condition, ...] = Field(default=(), max_length=8, description="What holds, and why.")
    served: Rows = Field(default=0, description="Requests answered, as far as is known now.")
    quota: QuotaStatus | None = Field(default=None, description="The account of the request quota.")
    epoch: EpochStatus | None = Field(default=None, description="The newest epoch.")
    failures: FailureStatus | None = Field(default=None, description="Absent while all goes well.")
    client_secret: str | None = Field(default=None, description="The Secret with which clients reach the workers.")
    charges: tuple[ChargeStatus, ...] = Field(
        default=(), max_length=KEPT_CHARGES, description="How the newest ended epochs were charged."
    )
    receipts: tuple[ReceiptStatus, ...] = Field(
        default=(), max_length=3, description="Erasure receipts of the newest epoch that gave any."
    )

    @classmethod
    def read(cls, raw: Mapping[str, Any] | None) -> Self:
        """The status of an object from the API server, empty if it has none.

        Raises:
            pydantic.ValidationError: somebody else than the operator wrote it.
        """
        return cls.model_validate(raw or {}, by_alias=True, by_name=False)

    def wire(self) -> dict[str, Any]:
        """The status as JSON, without what is absent."""
        return self.model_dump(mode="json", exclude_none=True)

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type."""
        return next((condition for condition in self.conditions if condition.type is kind), None)
