"""The name that a certificate carries: a URI that says namespace, SecureModel uid, epoch and role.

One textual form for each identity, so that two names are equal exactly if their URIs are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

SCHEME = "triveni://"

PARTIES = (0, 1, 2)

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_EPOCH = r"[1-9][0-9]{0,17}"

_URI = re.compile(
    rf"triveni://(?P<namespace>{_LABEL})/(?P<uid>{_LABEL})/"
    rf"(?:epoch/(?P<epoch>{_EPOCH})/(?:worker/(?P<party>[012])|(?P<sharing>sharing))|client/(?P<client>{_LABEL}))"
)


class Role(StrEnum):
    """What the holder of a certificate may do."""

    WORKER = "worker"
    SHARING = "sharing"
    CLIENT = "client"


@dataclass(eq=False)
class InvalidIdentity(ValueError):
    """A name that no certificate of a SecureModel can carry."""

    field: str
    value: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.field} {self.value[:200]!r} is not valid: {self.way_out}"


@dataclass(frozen=True, slots=True)
class Identity:
    """The holder of a certificate. Workers and the sharing job belong to one epoch; clients live through epochs.

    Raises:
        InvalidIdentity: a field is missing, does not belong to the role, or is not a name.
    """

    namespace: str
    uid: str
    role: Role
    epoch: int | None = None
    party: int | None = None
    client: str | None = None

    def __post_init__(self) -> None:
        for field, value in (("namespace", self.namespace), ("uid", self.uid)):
            _require_label(field, value)
        lives_one_epoch = self.role is not Role.CLIENT
        if (self.epoch is not None) != lives_one_epoch or (self.epoch is not None and self.epoch < 1):
            raise InvalidIdentity("epoch", str(self.epoch), "workers and sharing jobs have one, from 1; clients none")
        if (self.party is not None) != (self.role is Role.WORKER) or self.party not in (None, *PARTIES):
            raise InvalidIdentity("party", str(self.party), "workers have one, 0, 1 or 2; others none")
        if (self.client is not None) != (self.role is Role.CLIENT):
            raise InvalidIdentity("client", str(self.client), "clients have a name; others none")
        if self.client is not None:
            _require_label("client", self.client)

    @classmethod
    def worker(cls, namespace: str, uid: str, epoch: int, party: int) -> Identity:
        """Party `party` of an epoch."""
        return cls(namespace, uid, Role.WORKER, epoch=epoch, party=party)

    @classmethod
    def sharing_job(cls, namespace: str, uid: str, epoch: int) -> Identity:
        """The sharing job of an epoch."""
        return cls(namespace, uid, Role.SHARING, epoch=epoch)

    @classmethod
    def of_client(cls, namespace: str, uid: str, client: str) -> Identity:
        """A client named `client`."""
        return cls(namespace, uid, Role.CLIENT, client=client)

    @property
    def uri(self) -> str:
        """The URI of the certificate's subject alternative name."""
        base = f"{SCHEME}{self.namespace}/{self.uid}"
        match self.role:
            case Role.WORKER:
                return f"{base}/epoch/{self.epoch}/worker/{self.party}"
            case Role.SHARING:
                return f"{base}/epoch/{self.epoch}/sharing"
            case Role.CLIENT:
                return f"{base}/client/{self.client}"

    @classmethod
    def parse(cls, uri: str) -> Identity:
        """The identity that a URI names; InvalidIdentity if it names none."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise InvalidIdentity("URI", uri, "it names no worker, sharing job or client of a SecureModel")
        namespace, uid, epoch, party, _, client = match.groups()
        if client is not None:
            return cls.of_client(namespace, uid, client)
        if party is not None:
            return cls.worker(namespace, uid, int(epoch), int(party))
        return cls.sharing_job(namespace, uid, int(epoch))

    def __str__(self) -> str:
        return self.uri


def _require_label(field: str, value: str) -> None:
    if not re.fullmatch(_LABEL, value):
        raise InvalidIdentity(field, value, "1 to 63 letters, digits, '.', '_', '-', no sign first or last")
