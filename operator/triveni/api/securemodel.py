"""The SecureModel: what a user writes to have a model served, as strict types.

These types are the one definition of the custom resource `triveni.dev/v1alpha1`. They say what may be written and what
a field means; they read no file (see `manifest`) and decide nothing. Text about what is wrong is made in `problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

API_GROUP = "triveni.dev"
API_VERSION = "triveni.dev/v1alpha1"
KIND = "SecureModel"

MAX_QUOTA = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""

LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

Name = Annotated[str, StringConstraints(pattern=LABEL, min_length=1, max_length=50)]
"""Of a SecureModel: a DNS label that leaves room for what the names of its Services and pods add to it."""

Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]

ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]

DataKey = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
"""A key of a ConfigMap or a Secret."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

Quota = Annotated[int, Field(ge=1, le=MAX_QUOTA)]

MaxRows = Annotated[int, Field(ge=1, le=256)]


class Strict(BaseModel):
    """Camel case on the wire, nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
    )


class ConfigMapSource(Strict):
    """The model file is the value of `key` in the `binaryData` of a ConfigMap of the same namespace."""

    name: ObjectName
    key: DataKey


class SecretSource(Strict):
    """The model file is the value of `key` in the `data` of a Secret of the same namespace."""

    name: ObjectName
    key: DataKey


class FileSource(Strict):
    """The model file lies on this machine, its path relative to the manifest. For local runs only."""

    path: Annotated[str, StringConstraints(min_length=1)]


class Source(Strict):
    """Where the model file is: exactly one place."""

    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    file: FileSource | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [to_camel(name) for name in type(self).model_fields if getattr(self, name) is not None]
        if not given:
            raise PydanticCustomError("no_source", "names no source")
        if len(given) > 1:
            raise PydanticCustomError("several_sources", "names {given}", {"given": " and ".join(given)})
        return self

    @property
    def place(self) -> ConfigMapSource | SecretSource | FileSource:
        """The one that is given."""
        place = self.config_map or self.secret or self.file
        assert place is not None
        return place


class Model(Strict):
    """The Keras model to serve; with `digest`, only a file of that SHA-256 is accepted."""

    source: Source
    digest: Digest | None = None


class Batching(Strict):
    """How many rows the workers may run together."""

    max_rows: MaxRows = 32


class Spec(Strict):
    """What is to be served, and how often.

    `request_quota` is the number of requests (rows of a batch count one each) that may be answered in all; None is no
    limit. `recovery` says what follows when a worker dies: `Reshare` starts a new epoch, `Never` stops.
    """

    model: Model
    protocol: Literal["ABY3"] = "ABY3"
    request_quota: Quota | None = None
    recovery: Literal["Reshare", "Never"] = "Reshare"
    batching: Batching = Batching()

    @field_validator("protocol", mode="before")
    @classmethod
    def _protocol_is_built(cls, value: Any) -> Any:
        if value == "SecureNN":
            raise PydanticCustomError("protocol_not_built", "SecureNN is not built yet")
        return value


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
    """The resource as a user writes it; `status`, which only the operator writes, is carried along unread."""

    api_version: Literal["triveni.dev/v1alpha1"]
    kind: Literal["SecureModel"]
    metadata: Metadata
    spec: Spec
    status: Any = None

    @classmethod
    def read(cls, document: object) -> Self:
        """The SecureModel of a document as it stands in a manifest: wire names only.

        Raises:
            pydantic.ValidationError: something is wrong; `problems.problems_of` says it for people.
        """
        return cls.model_validate(document, by_alias=True, by_name=False)

    def with_spec(self, **changes: object) -> Self:
        """The same with some fields of `spec` (wire names) changed, validated again."""
        document = self.model_dump(mode="json")
        document["spec"] |= changes
        return self.read(document)
