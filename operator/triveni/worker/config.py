"""What a worker is told when it starts: one JSON file, read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triveni.identity.names import PARTIES, Identity, InvalidIdentity
from triveni.mpc.architecture import MAX_ANSWER_BITS

MAX_ROWS = 256

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(eq=False)
class InvalidConfig(ValueError):
    """A field of the configuration that cannot be used."""

    field: str
    value: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value}; {self.way_out}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to connect; it says nothing about who is there."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a worker needs to know. Times are in seconds, `grant` in rows (None: no limit).

    `answer_fractional_bits` is how many of each value of an answer the model must be shared for; None: as it is shared.
    """

    namespace: str
    uid: str
    name: str
    epoch: int
    party: int
    protocol: str
    grant: int | None
    listen: Address
    peer_listen: Address
    peers: Mapping[int, Address]
    credentials: Path
    report: Path
    health_listen: Address | None = None
    cache: Path | None = None
    answer_fractional_bits: int | None = None
    max_rows: int = 32
    connect_timeout_s: float = 60.0
    share_timeout_s: float = 600.0
    compile_timeout_s: float = 300.0
    request_timeout_s: float = 30.0
    run_timeout_s: float = 30.0
    drain_s: float = 1.0
    log_level: str = "info"

    @property
    def identity(self) -> Identity:
        """Who this worker is."""
        return Identity.worker(self.namespace, self.uid, self.epoch, self.party)

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read a configuration file.

        Raises:
            InvalidConfig: not readable, not JSON, or a field missing, unknown or of no use.
        """
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise InvalidConfig("configuration", str(path), f"it cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise InvalidConfig("configuration", str(path), "it is not JSON") from None
        return cls.parse(document)

    @classmethod
    def parse(cls, document: Any) -> Config:
        """Read a configuration that was parsed from JSON; errors as `read`."""
        if not isinstance(document, dict):
            raise InvalidConfig("configuration", f"a JSON {type(document).__name__}", "an object is needed")
        for field in document:
            if field not in _FIELDS:
                raise InvalidConfig(field, "unknown field", f"the fields are {', '.join(_FIELDS)}")
        for field in _REQUIRED:
            if field not in document:
                raise InvalidConfig(field, "missing", "add it")
        config = cls(**{field: _FIELDS[field](field, value) for field, value in document.items()})
        try:
            identity = config.identity
        except InvalidIdentity as error:
            raise InvalidConfig(error.field, error.value, error.way_out) from None
        if set(config.peers) != set(PARTIES) - {identity.party}:
            raise InvalidConfig("peers", f"parties {sorted(config.peers)}", "give the other two parties")
        return config


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 4096:
        raise InvalidConfig(field, repr(value)[:80], "a text is needed")
    return value


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def read(field: str, value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise InvalidConfig(field, repr(value)[:80], f"a whole number from {low} to {high} is needed")
        return value

    return read


def _seconds(field: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value <= 86_400 * 366:
        raise InvalidConfig(field, repr(value)[:80], "a number of seconds above 0 is needed")
    return float(value)


def _grant(field: str, value: Any) -> int | None:
    return None if value is None else _whole(1, 2**63 - 1)(field, value)


def _path(field: str, value: Any) -> Path:
    return Path(_text(field, value))


def _optional_path(field: str, value: Any) -> Path | None:
    return None if value is None else _path(field, value)


def _address(field: str, value: Any) -> Address:
    if not isinstance(value, dict) or set(value) != {"host", "port"}:
        raise InvalidConfig(field, repr(value)[:80], "an object with host and port is needed")
    return Address(_text(f"{field}.host", value["host"]), _whole(1, 65535)(f"{field}.port", value["port"]))


def _optional_address(field: str, value: Any) -> Address | None:
    return None if value is None else _address(field, value)


def _peers(field: str, value: Any) -> Mapping[int, Address]:
    if not isinstance(value, dict) or not set(value) <= {"0", "1", "2"}:
        raise InvalidConfig(field, repr(value)[:80], "an object with the addresses of the other two parties is needed")
    return {int(party): _address(f"{field}.{party}", address) for party, address in value.items()}


def _log_level(field: str, value: Any) -> str:
    if value not in LOG_LEVELS:
        raise InvalidConfig(field, repr(value)[:80], f"one of {', '.join(LOG_LEVELS)} is needed")
    return str(value)


_REQUIRED: Mapping[str, Callable[[str, Any], Any]] = {
    "namespace": _text,
    "uid": _text,
    "name": _text,
    "epoch": _whole(1, 10**17),
    "party": _whole(0, 2),
    "protocol": _text,
    "grant": _grant,
    "listen": _address,
    "peer_listen": _address,
    "peers": _peers,
    "credentials": _path,
    "report": _path,
}

_FIELDS: Mapping[str, Callable[[str, Any], Any]] = {
    **_REQUIRED,
    "health_listen": _optional_address,
    "cache": _optional_path,
    "answer_fractional_bits": _whole(0, MAX_ANSWER_BITS),
    "max_rows": _whole(1, MAX_ROWS),
    "connect_timeout_s": _seconds,
    "share_timeout_s": _seconds,
    "compile_timeout_s": _seconds,
    "request_timeout_s": _seconds,
    "run_timeout_s": _seconds,
    "drain_s": _seconds,
    "log_level": _log_level,
}
