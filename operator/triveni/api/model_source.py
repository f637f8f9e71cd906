"""Where the model file is: the sources of a SecureModel. None of them is read here."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from triveni.api.names import DataKey, Digest, ObjectName
from triveni.api.strict import Given, Strict, broken, rule, ruled

LOCAL_ONLY = "x-triveni-local-only"
"""Marks a field of the manifest that no cluster knows."""

_HOST = r"([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?"

URL = rf'^https?://{_HOST}(/[!-"$-~]*)?$'

Url = Annotated[str, StringConstraints(pattern=URL, max_length=2048)]
"""In the form in which it is sent. Without user and password, which would stand in the open, and without a fragment."""

ENDPOINT = rf"^https?://{_HOST}/?$"

Endpoint = Annotated[str, StringConstraints(pattern=ENDPOINT, max_length=512)]

VolumePath = Annotated[str, StringConstraints(min_length=1, max_length=1024)]

BUCKET = r"^[a-z0-9][-a-z0-9.]*[a-z0-9]$"

Bucket = Annotated[str, StringConstraints(pattern=BUCKET, min_length=3, max_length=63)]

REGION = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Region = Annotated[str, StringConstraints(pattern=REGION, max_length=63)]

TLS_OR_DIGEST = "a model that comes over plain http could be any: use https, or give spec.model.digest"


class ConfigMapSource(Strict):
    """The model file is the value of `key` in the `binaryData` of a ConfigMap of the same namespace."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: DataKey = Field(description="Key of the model file in the ConfigMap's binaryData.")


class SecretSource(Strict):
    """The model file is the value of `key` in the `data` of a Secret of the same namespace."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: DataKey = Field(description="Key of the model file in the Secret's data.")


class ClaimSource(Strict):
    """The model file lies in a volume, which is mounted read-only into the sharing job and into nothing else."""

    model_config = ruled(
        rule(
            "!self.path.split('/').exists(part, part in ['', '.', '..'])",
            "path must lead from the volume's root to a file inside it: no leading '/', no '..'",
        )
    )

    claim_name: ObjectName = Field(description="Name of a PersistentVolumeClaim of the same namespace.")
    path: VolumePath = Field(description="Path of the model file, from the root of the volume.")

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if {"", ".", ".."} & set(self.path.split("/")):
            raise broken(f"path '{self.path[:60]}' leaves the volume", "give the path from the volume's root to a file")
        return self


class CaBundle(Strict):
    """Certificates of the authorities that the server's certificate may come from, instead of the public ones."""

    name: ObjectName = Field(description="Name of a ConfigMap of the same namespace.")
    key: DataKey = Field(description="Key of the PEM file in the ConfigMap's data.")


_CA_NEEDS_TLS = "caBundle is for https alone"


class HttpSource(Strict):
    """The model file is what a GET of `url` answers; a redirect may not lead from https to http."""

    model_config = ruled(rule("!has(self.caBundle) || self.url.startsWith('https://')", _CA_NEEDS_TLS))

    url: Url = Field(description="Address of the model file; plain http only together with spec.model.digest.")
    ca_bundle: Given[CaBundle] = Field(
        default=None,
        description="Authorities that may have signed the server's certificate; the public ones if left out.",
    )

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can change the file."""
        return urlsplit(self.url).scheme == "https"

    @model_validator(mode="after")
    def _ca_needs_tls(self) -> Self:
        if self.ca_bundle and not self.encrypted:
            raise broken(_CA_NEEDS_TLS, "use an https address, or leave caBundle out")
        return self


class CredentialsSecret(Strict):
    """A Secret with `accessKeyId` and `secretAccessKey`, and `sessionToken` for keys that last only for a while."""

    name: ObjectName = Field(description="Name of a Secret of the same namespace.")


class S3Source(Strict):
    """The model file is an object in a store that speaks the protocol of Amazon S3."""

    model_config = ruled(rule("!has(self.caBundle) || self.endpoint.startsWith('https://')", _CA_NEEDS_TLS))

    endpoint: Endpoint = Field(description="Address of the store, such as https://minio.storage.svc:9000.")
    bucket: Bucket = Field(description="Name of the bucket.")
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = Field(
        description="Key of the model file in the bucket."
    )
    region: Region = Field(default="us-east-1", description="Region that requests are signed for.")
    credentials_secret: CredentialsSecret = Field(
        description="Secret with the keys accessKeyId and secretAccessKey, and sessionToken if there is one."
    )
    ca_bundle: Given[CaBundle] = Field(
        default=None,
        description="Authorities that may have signed the store's certificate; the public ones if left out.",
    )

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can change the file."""
        return urlsplit(self.endpoint).scheme == "https"

    @model_validator(mode="after")
    def _ca_needs_tls(self) -> Self:
        if self.ca_bundle and not self.encrypted:
            raise broken(_CA_NEEDS_TLS, "use an https endpoint, or leave caBundle out")
        return self


class OwnerSource(Strict):
    """The model never enters the cluster: its owner splits it outside and hands out the shares in each epoch."""


class FileSource(Strict):
    """The model file lies on this machine, its path relative to the manifest. For local runs only."""

    path: Annotated[str, StringConstraints(min_length=1)] = Field(description="Path of the model file.")


Place = ConfigMapSource | SecretSource | ClaimSource | HttpSource | S3Source | OwnerSource | FileSource

SOURCES = ("configMap", "secret", "persistentVolumeClaim", "http", "s3", "owner")
"""Those that a cluster knows."""


class Source(Strict):
    """Where the model file is: exactly one place."""

    model_config = ruled(
        rule(
            f"[{', '.join(f'has(self.{name})' for name in SOURCES)}].filter(given, given).size() == 1",
            f"exactly one of {', '.join(SOURCES)} is needed",
        )
    )

    config_map: Given[ConfigMapSource] = Field(default=None, description="A ConfigMap that holds the model file.")
    secret: Given[SecretSource] = Field(default=None, description="A Secret that holds the model file.")
    persistent_volume_claim: Given[ClaimSource] = Field(default=None, description="A volume that holds the model file.")
    http: Given[HttpSource] = Field(default=None, description="A web server that hands out the model file.")
    s3: Given[S3Source] = Field(default=None, description="An S3-compatible store that holds the model file.")
    owner: Given[OwnerSource] = Field(
        default=None,
        description="The model's owner, who hands out the shares from outside the cluster; no sharing job is made.",
    )
    file: Given[FileSource] = Field(
        default=None,
        description="A file beside the manifest, for runs on one machine.",
        json_schema_extra={LOCAL_ONLY: True},
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [to_camel(name) for name in type(self).model_fields if getattr(self, name) is not None]
        if not given:
            raise PydanticCustomError("no_source", "names no source")
        if len(given) > 1:
            raise PydanticCustomError("several_sources", "names {given}", {"given": " and ".join(given)})
        return self

    @property
    def place(self) -> Place:
        """The one that is given."""
        given = (getattr(self, name) for name in type(self).model_fields)
        place: Place = next(place for place in given if place is not None)
        return place


MAX_INPUT = 2**10
"""The largest absolute value of an input by any protocol."""

InputEnd = Annotated[float, Field(ge=-MAX_INPUT, le=MAX_INPUT, allow_inf_nan=False)]

_MIN_BELOW_MAX = "min must be less than max"


class InputRange(Strict):
    """What every element of every input is within, both ends included. A client refuses to send anything else."""

    model_config = ruled(rule("self.min < self.max", _MIN_BELOW_MAX))

    min: InputEnd = Field(description="The least that an element of an input may be.")
    max: InputEnd = Field(description="The most that an element of an input may be.")

    @property
    def argument(self) -> str:
        """For the command line of the sharing job."""
        return f"{self.min!r},{self.max!r}"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise broken(f"goes from {self.min:g} to {self.max:g}", _MIN_BELOW_MAX)
        return self


_OWNER_SAYS_RANGE = "inputRange is said by the owner who shares the model, so not with source.owner"

_NO_FILE_NO_DIGEST = "digest is of a model file, which source.owner has none of"


class Model(Strict):
    """The Keras model to serve."""

    model_config = ruled(
        rule("!has(self.digest) || !has(self.source.owner)", _NO_FILE_NO_DIGEST),
        rule("!has(self.inputRange) || !has(self.source.owner)", _OWNER_SAYS_RANGE),
        *(
            rule(
                f"has(self.digest) || !has(self.source.{kind}) || self.source.{kind}.{field}.startsWith('https://')",
                TLS_OR_DIGEST,
            )
            for kind, field in (("http", "url"), ("s3", "endpoint"))
        ),
    )

    source: Source = Field(description="Where the model is; exactly one place. Only the sharing job reads it.")
    digest: Given[Digest] = Field(
        default=None,
        description="SHA-256 of the model file, as sha256: and 64 hexadecimal digits; any other is refused.",
    )
    input_range: Given[InputRange] = Field(
        default=None,
        description="What all inputs are within, such as min: 0, max: 1 for pictures. The model is then shared only if"
        " no value on the way to an answer can be too large for the protocol; nothing is known of that if left out.",
    )

    @model_validator(mode="after")
    def _tls_or_digest(self) -> Self:
        place = self.source.place
        if isinstance(place, HttpSource | S3Source) and not place.encrypted and self.digest is None:
            raise broken("comes over plain http without a digest, so it could be any model", "use https or add digest")
        if isinstance(place, OwnerSource) and self.digest is not None:
            raise broken(_NO_FILE_NO_DIGEST, "leave digest out")
        if isinstance(place, OwnerSource) and self.input_range is not None:
            raise broken(_OWNER_SAYS_RANGE, "leave inputRange out")
        return self
