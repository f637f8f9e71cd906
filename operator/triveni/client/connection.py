"""How to reach one SecureModel: the connection file that the runner or the operator hands to a client."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yarl import URL

from triveni.client.errors import InvalidConnection
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity, InvalidIdentity


@dataclass(frozen=True)
class Connection:
    """Three workers of one SecureModel and the credentials to talk to them. Its repr shows no key.

    Attributes:
        name: of the SecureModel.
        namespace, uid: which one it is; the workers prove it by their certificates.
        workers: base addresses, ``https://host:port``, in the order of parties.
        credentials: the client's own.
    """

    name: str
    namespace: str
    uid: str
    workers: tuple[str, str, str]
    credentials: Credentials = field(repr=False)

    @classmethod
    def read(cls, path: Path | str) -> Connection:
        """Read a connection file (JSON).

        Raises:
            InvalidConnection: it cannot be read, or a field is missing or wrong.
        """
        try:
            document = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise InvalidConnection(str(path), "the file", error.strerror or type(error).__name__) from error
        except (ValueError, RecursionError) as error:
            raise InvalidConnection(str(path), "the file", "it is no JSON; ask for a new one") from error
        return cls.from_document(document, str(path))

    @classmethod
    def from_document(cls, document: Any, path: str = "document") -> Connection:
        """The same from parsed JSON; `path` is only for messages."""
        if not isinstance(document, dict):
            raise InvalidConnection(path, "the file", "a JSON object is needed")
        name, namespace, uid = (_text(document, key, path) for key in ("name", "namespace", "uid"))
        try:
            Identity.worker(namespace, uid, 1, 0)
        except InvalidIdentity as error:
            raise InvalidConnection(path, error.field, error.way_out) from error
        workers = document.get("workers")
        if not isinstance(workers, list) or len(workers) != 3 or not all(map(_is_address, workers)):
            raise InvalidConnection(path, "workers", "three addresses like https://10.0.0.1:8443 are needed")
        try:
            credentials = Credentials.of_document(document.get("credentials"))
        except ValueError as error:
            raise InvalidConnection(path, "credentials", str(error)) from None
        first, second, third = workers
        return cls(name, namespace, uid, (first, second, third), credentials)


def _text(document: dict[str, Any], key: str, path: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidConnection(path, key, "a text is needed")
    return value


def _is_address(value: Any) -> bool:
    try:
        url = URL(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return url is not None and url.scheme == "https" and bool(url.host) and url.path == "/" and not url.query
