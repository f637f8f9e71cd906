"""What one worker's host is given once, as a file: where the three workers are, and who this one is. It holds a key.

The notebook's private authority makes it, and somebody carries it to the host; nothing else has to be typed there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import PARTIES, Identity, InvalidIdentity
from triveni.sharing.worker_link import Address

FORMAT = 1

WAITING = 10**18 - 1
"""The epoch in the certificate of a host that waits for an epoch: no worker can be in it, so shares that a client made
for a worker never reach a host that has none."""


@dataclass(eq=False)
class InvalidBundle(ValueError):
    """The file is no bundle, or a field of it cannot be used."""

    path: str
    field: str
    way_out: str

    def __str__(self) -> str:
        return f"bundle {self.path}: {self.field}: {self.way_out}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of the three workers, by party: where clients reach them, and where the other two do."""

    front: tuple[Address, Address, Address]
    peer: tuple[Address, Address, Address]


@dataclass(frozen=True, slots=True)
class Bundle:
    """One worker of a cluster that a notebook owns."""

    namespace: str
    uid: str
    party: int
    addresses: Addresses
    credentials: Credentials = field(repr=False)

    @classmethod
    def issue(cls, authority: Authority, addresses: Addresses, party: int) -> Bundle:
        """A new one, with a key of its own."""
        identity = Identity.worker(authority.namespace, authority.uid, WAITING, party)
        return cls(authority.namespace, authority.uid, party, addresses, authority.issue(identity))

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Read a bundle file.

        Raises:
            InvalidBundle: not readable, not JSON, or a field missing or of no use.
        """
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise InvalidBundle(str(path), "the file", (error.strerror or "it cannot be read").lower()) from None
        except (ValueError, RecursionError):
            raise InvalidBundle(str(path), "the file", "it is no JSON; copy it again") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise InvalidBundle(str(path), "format", f"a bundle of format {FORMAT} is needed; use the same version")
        return cls._parse(document, str(path))

    @classmethod
    def _parse(cls, document: Mapping[str, Any], path: str) -> Bundle:
        party = document.get("party")
        if party not in PARTIES:
            raise InvalidBundle(path, "party", "0, 1 or 2 is needed")
        try:
            me = Identity.worker(str(document.get("namespace")), str(document.get("uid")), WAITING, party)
        except InvalidIdentity as error:
            raise InvalidBundle(path, error.field, error.way_out) from None
        addresses = Addresses(*(_three(document.get(kind), kind, path) for kind in ("front", "peer")))
        try:
            credentials = Credentials.of_document(document.get("credentials"))
        except ValueError as error:
            raise InvalidBundle(path, "credentials", str(error)) from None
        return cls(me.namespace, me.uid, party, addresses, credentials)

    def write(self, path: Path) -> None:
        """Write a new file that only its user can read; OSError if there is one already."""
        document = {
            "format": FORMAT,
            "namespace": self.namespace,
            "uid": self.uid,
            "party": self.party,
            "front": [str(address) for address in self.addresses.front],
            "peer": [str(address) for address in self.addresses.peer],
            "credentials": self.credentials.document(),
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(document, file, indent=1)


def _three(value: Any, kind: str, path: str) -> tuple[Address, Address, Address]:
    try:
        first, second, third = (Address.parse(text) for text in value)
    except (ValueError, TypeError, AttributeError):
        raise InvalidBundle(path, kind, "three addresses HOST:PORT are needed") from None
    return first, second, third
