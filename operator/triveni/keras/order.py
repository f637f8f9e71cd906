"""What a notebook tells a worker's host to begin an epoch, and what the host says of it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triveni.identity.credentials import Credentials
from triveni.keras.bundle import Bundle
from triveni.sharing.worker_link import Address
from triveni.worker.config import Config

PATH = "/triveni/v1/host"

NAME = "model"
"""What clients ask for: a cluster of a notebook serves one model at a time."""

MAX_BYTES = 1 << 16

STARTED, ENDED, STOP = "started", "ended", "stop"


@dataclass(eq=False)
class InvalidOrder(ValueError):
    """An order that a host does not follow."""

    problem: str

    def __str__(self) -> str:
        return f"the order was refused: {self.problem}"


@dataclass(frozen=True, slots=True)
class Order:
    """One epoch: how many rows this worker may answer in it (None: no limit), and its certificate for it."""

    epoch: int
    grant: int | None
    protocol: str
    credentials: Credentials = field(repr=False)

    def text(self) -> str:
        """As it goes over the connection."""
        return json.dumps(
            {
                "epoch": self.epoch,
                "grant": self.grant,
                "protocol": self.protocol,
                "credentials": self.credentials.document(),
            }
        )

    @classmethod
    def parse(cls, text: str) -> Order:
        """Read it; InvalidOrder if it is none. The worker itself checks the numbers."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidOrder("it is no JSON") from None
        if not isinstance(document, dict) or set(document) != {"epoch", "grant", "protocol", "credentials"}:
            raise InvalidOrder("epoch, grant, protocol and credentials are needed; use the same version on both sides")
        if type(document["epoch"]) is not int:
            raise InvalidOrder("epoch is no whole number")
        try:
            credentials = Credentials.of_document(document["credentials"])
        except ValueError as error:
            raise InvalidOrder(f"credentials: {error}") from None
        return cls(document["epoch"], document["grant"], str(document["protocol"]), credentials)


def worker_config(bundle: Bundle, order: Order, bind: str | None, directory: Path, cache: Path) -> dict[str, Any]:
    """The configuration of the worker of an epoch, whose files are in `directory`.

    The order says nothing about addresses and places: those are the bundle's and this host's own. `bind` is the address
    to listen at, where that is another than the one by which others reach this host.

    Raises:
        worker.config.InvalidConfig: a worker would not start with it.
    """
    party = bundle.party

    def listen(address: Address) -> Mapping[str, Any]:
        return _address(Address(bind, address.port) if bind else address)

    config = {
        "namespace": bundle.namespace,
        "uid": bundle.uid,
        "name": NAME,
        "epoch": order.epoch,
        "party": party,
        "protocol": order.protocol,
        "grant": order.grant,
        "listen": listen(bundle.addresses.front[party]),
        "peer_listen": listen(bundle.addresses.peer[party]),
        "peers": {str(p): _address(address) for p, address in enumerate(bundle.addresses.peer) if p != party},
        "credentials": str(directory / "credentials"),
        "report": str(directory / "report.json"),
        "cache": str(cache),
    }
    Config.parse(config)
    return config


def _address(address: Address) -> Mapping[str, Any]:
    return {"host": address.host, "port": address.port}
