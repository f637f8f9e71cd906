"""Where the sharing job gets the model file from: its arguments, what is mounted for it, whom it has to reach.

A ConfigMap or Secret is mounted as optional: a pod that waits for one that is not there says nothing, a job that starts
without it says what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from triveni.api.model_source import (
    CaBundle,
    ClaimSource,
    ConfigMapSource,
    FileSource,
    HttpSource,
    OwnerSource,
    S3Source,
    SecretSource,
)
from triveni.api.securemodel import SecureModel
from triveni.controller.objects import places
from triveni.controller.objects.owned import Object


@dataclass(frozen=True)
class Mount:
    """A volume, and the directory where it is seen; always read-only."""

    name: str
    directory: str
    volume: Object


@dataclass(frozen=True)
class Server:
    """Whom the sharing job fetches the model from."""

    host: str
    port: int


@dataclass(frozen=True)
class Supply:
    """What a source means for the sharing job; `words` name it in the job's messages.

    There is a `server` only if the job fetches the file itself.
    """

    words: str
    arguments: Sequence[str]
    mounts: Sequence[Mount]
    server: Server | None = None


@dataclass(eq=False)
class UnusableSource(ValueError):
    """A source that no sharing job in a cluster can read."""

    field: str
    value: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.field}: '{self.value}' cannot be used in a cluster; {self.way_out}"


def is_owners(model: SecureModel) -> bool:
    """Whether its owner shares the model, from outside the cluster and without a sharing job."""
    return isinstance(model.spec.model.source.place, OwnerSource)


def supply(model: SecureModel) -> Supply | None:
    """What the source of `model` means for its sharing job; None if it needs none.

    Raises:
        UnusableSource: a file on this machine, or an address without a host or with an impossible port.
    """
    match model.spec.model.source.place:
        case ConfigMapSource(name=name, key=key):
            words = f"configMap: key '{key}' of ConfigMap '{name}'"
            return _mounted(words, key, {"configMap": _optional("name", name, key)})
        case SecretSource(name=name, key=key):
            words = f"secret: key '{key}' of Secret '{name}'"
            return _mounted(words, key, {"secret": {**_optional("secretName", name, key), "defaultMode": 0o440}})
        case ClaimSource(claim_name=name, path=path):
            words = f"persistentVolumeClaim: file '{path}' of PersistentVolumeClaim '{name}'"
            return _mounted(words, path, {"persistentVolumeClaim": {"claimName": name, "readOnly": True}})
        case HttpSource() as http:
            return _http(http)
        case S3Source() as s3:
            return _s3(s3)
        case OwnerSource():
            return None
        case FileSource(path=path):
            raise UnusableSource(_at("file.path"), path, "put the file into a ConfigMap, a Secret or a volume")


def _mounted(words: str, file: str, volume: Object) -> Supply:
    mount = Mount("model", places.MODEL, volume)
    return Supply(_at(words), [f"--model={places.MODEL}/{file}"], [mount])


def _http(http: HttpSource) -> Supply:
    arguments, mounts = _authorities(http.ca_bundle)
    address = http.url.partition("?")[0]  # what follows may be a signature that lets anybody read the file
    server = _server("http.url", http.url)
    return Supply(_at(f"http: {address}"), [f"--model-url={http.url}", *arguments], mounts, server)


def _s3(s3: S3Source) -> Supply:
    arguments, mounts = _authorities(s3.ca_bundle)
    secret = {"secretName": s3.credentials_secret.name, "optional": True, "defaultMode": 0o440}
    return Supply(
        _at(f"s3: object '{s3.key}' of bucket '{s3.bucket}' at {s3.endpoint}"),
        [
            f"--s3-endpoint={s3.endpoint}",
            f"--s3-bucket={s3.bucket}",
            f"--s3-key={s3.key}",
            f"--s3-region={s3.region}",
            f"--s3-credentials={places.SOURCE_CREDENTIALS}",
            *arguments,
        ],
        [Mount("source-credentials", places.SOURCE_CREDENTIALS, {"secret": secret}), *mounts],
        _server("s3.endpoint", s3.endpoint),
    )


def _authorities(bundle: CaBundle | None) -> tuple[list[str], list[Mount]]:
    if bundle is None:
        return [], []
    volume = {"configMap": _optional("name", bundle.name, bundle.key)}
    mount = Mount("source-authorities", places.SOURCE_AUTHORITIES, volume)
    return [f"--ca-bundle={places.SOURCE_AUTHORITIES}/{bundle.key}"], [mount]


def _server(field: str, address: str) -> Server:
    way_out = "give an address like https://HOST:PORT/PATH, with a port from 1 to 65535"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UnusableSource(_at(field), address.partition("?")[0], way_out) from None
    if not host or port == 0:
        raise UnusableSource(_at(field), address.partition("?")[0], way_out)
    return Server(host, port or (443 if parts.scheme == "https" else 80))


def _optional(field: str, name: str, key: str) -> dict[str, Any]:
    """One file of a ConfigMap or Secret, which the pod does not wait for."""
    return {field: name, "items": [{"key": key, "path": key}], "optional": True}


def _at(field: str) -> str:
    return f"spec.model.source.{field}"
