"""The SecureModel: what a user writes to have a model served, as strict types.

These types are the one definition of the custom resource `triveni.dev/v1alpha1`; `crd` makes the definition that a
cluster is given from them. They say what may be written and what a field means; they read no file (see `manifest`) and
decide nothing. Text about what is wrong is made in `problems`.

No field is immutable: name, namespace and uid, of which the identities in certificates are made, cannot change in
Kubernetes, and every change of the spec has a meaning. One of the model, the protocol, the answer, batching or the
workers is a new epoch, one of the quota is a new grant, and the others take effect as they are. What may only grow is
in the status, and held there (see `status`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from triveni.api.clients import Client
from triveni.api.model_source import Model
from triveni.api.names import LABEL, MAX_NAME, Name, Namespace
from triveni.api.strict import Given, Strict, broken, rule, ruled
from triveni.api.workers import Workers

API_GROUP = "triveni.dev"
API_VERSION = "triveni.dev/v1alpha1"
KIND = "SecureModel"

MAX_QUOTA = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""

Protocol = Literal["ABY3", "SecureNN"]

Quota = Annotated[int, Field(ge=1, le=MAX_QUOTA)]

MAX_ANSWER_BITS = 16
"""What every protocol has; more would reveal as much as no setting."""

MaxRows = Annotated[int, Field(ge=1, le=256)]


class Batching(Strict):
    """How many rows the workers may run together."""

    max_rows: MaxRows = Field(default=32, description="Most rows of waiting requests that are run together.")


class Answer(Strict):
    """What clients are given of an answer."""

    fractional_bits: Given[Annotated[int, Field(ge=0, le=MAX_ANSWER_BITS)]] = Field(
        default=None,
        description="How many binary places behind the point clients are given of each value of an answer: with 8 a"
        " multiple of 1/256. The workers round the rest off, at random and to within 2.5 of these steps, before anybody"
        " sees it; and none of them can tell how anything was rounded, as it can otherwise. Fewer places tell less"
        " about the model. All that there are if left out: 20 with ABY3, 16 with SecureNN.",
    )


MAX_SECURENN_INPUT = 2**7
"""The largest absolute value of an input in SecureNN."""

_SECURENN_INPUTS = f"SecureNN carries inputs from -{MAX_SECURENN_INPUT} to {MAX_SECURENN_INPUT}"

_TTL_NEEDS_QUOTA = "ttlSecondsAfterFinished needs requestQuota: without one, serving never finishes"


class Spec(Strict):
    """What is to be served, and how often."""

    model_config = ruled(
        rule(
            "!has(self.ttlSecondsAfterFinished) || (has(self.requestQuota) && dyn(self.requestQuota) != null)",
            _TTL_NEEDS_QUOTA,
        ),
        rule(
            "self.protocol != 'SecureNN' || !has(self.model.inputRange) ||"
            f" (self.model.inputRange.min >= -{MAX_SECURENN_INPUT}.0"
            f" && self.model.inputRange.max <= {MAX_SECURENN_INPUT}.0)",
            _SECURENN_INPUTS,
        ),
    )

    model: Model = Field(description="The Keras model to serve.")
    protocol: Protocol = Field(
        default="ABY3",
        description="How the workers compute on shares. SecureNN needs fewer rounds and carries smaller numbers.",
    )
    request_quota: Quota | None = Field(
        default=None,
        description="How many requests may be answered in all; a row of a batch counts as one. No limit if left out.",
        json_schema_extra={"nullable": True},
    )
    recovery: Literal["Reshare", "Never"] = Field(
        default="Reshare",
        description="What follows when a worker dies: Reshare starts a new epoch, Never stops serving for good.",
    )
    batching: Batching = Field(default=Batching(), description="How many rows the workers may run together.")
    answer: Answer = Field(default=Answer(), description="What clients are given of an answer.")
    workers: Workers = Field(default=Workers(), description="Where and how the three workers run.")
    clients: Sequence[Client] = Field(
        default=[],
        max_length=32,
        description="From where clients may call; pods of the same namespace with the label"
        " triveni.dev/client: NAME if left out. A client needs a certificate all the same.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    suspend: bool = Field(
        default=False,
        description="Ends the epoch and erases its shares; false again, and a new epoch serves what remains.",
    )
    ttl_seconds_after_finished: Given[Annotated[int, Field(ge=0, le=2**31 - 1)]] = Field(
        default=None,
        description="The SecureModel is deleted that many seconds after its quota is reached; it stays if left out.",
    )

    @model_validator(mode="after")
    def _ttl_needs_quota(self) -> Self:
        if self.ttl_seconds_after_finished is not None and self.request_quota is None:
            raise broken("has ttlSecondsAfterFinished, but without requestQuota serving never finishes", "add a quota")
        return self

    @model_validator(mode="after")
    def _inputs_fit_protocol(self) -> Self:
        inputs = self.model.input_range
        if self.protocol == "SecureNN" and inputs and max(-inputs.min, inputs.max) > MAX_SECURENN_INPUT:
            what = f"model.inputRange goes from {inputs.min:g} to {inputs.max:g}, but {_SECURENN_INPUTS}"
            raise broken(what, "normalise the inputs, or use ABY3")
        return self


class Metadata(Strict):
    """The object's metadata; the fields that only a cluster writes are accepted and not looked at."""

    name: Name
    namespace: Namespace = "default"
    uid: str | None = None
    generation: int | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    finalizers: Any = None
    owner_references: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    resource_version: Any = None
    managed_fields: Any = None
    generate_name: Any = None
    self_link: Any = None


class SecureModel(Strict):
    """A Keras model served by three workers on secret shares: none of them learns weights, inputs or answers."""

    model_config = ruled(
        rule(
            f"self.metadata.name.size() <= {MAX_NAME} && self.metadata.name.matches('{LABEL}')",
            "metadata.name must be at most 50 small letters, digits and '-', starting with a letter and ending with a"
            " letter or digit: the names of its Services are made from it",
        ),
        rule("!has(oldSelf.status) || has(self.status)", "what is charged to the quota is never forgotten"),
    )

    api_version: Literal["triveni.dev/v1alpha1"]
    kind: Literal["SecureModel"]
    metadata: Metadata
    spec: Spec
    status: Any = None

    @classmethod
    def read(cls, document: object) -> Self:
        """The SecureModel of a document as it stands in a manifest or comes from a cluster: wire names only.

        Raises:
            pydantic.ValidationError: something is wrong; `problems.problems_of` says it for people.
        """
        return cls.model_validate(document, by_alias=True, by_name=False)

    def with_spec(self, **changes: object) -> Self:
        """The same with some fields of `spec` (wire names) changed, validated again."""
        document = self.model_dump(mode="json", exclude_none=True)
        document["spec"] |= changes
        return self.read(document)
