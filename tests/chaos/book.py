"""What outlives a controller: the ledger in a file, and the files of one SecureModel beside it.

The ledger is on the disk before whatever it allows is done, as the status of a SecureModel is in a cluster.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from triveni.controller.quota import PARTIES, Charge, Grant, Ledger, Report, Why
from triveni.identity.authority import Authority
from triveni.local.ports import Ports

SHARING_BEGAN = "sharing-began"
"""The file in an epoch's folder that stands before the first share of the model leaves the sharing process."""


@dataclass(frozen=True)
class Book:
    """Everything about one SecureModel, in one folder."""

    folder: Path

    @property
    def ledger(self) -> Ledger:
        """The ledger as it stands on the disk."""
        document = json.loads((self.folder / "ledger.json").read_text())
        ended = tuple(
            Charge(Grant(**charge["grant"]), _reports(charge["reports"]), charge["rows"], Why(charge["why"]))
            for charge in document["ended"]
        )
        return Ledger(document["quota"], ended, Grant(**document["open"]) if document["open"] else None)

    def write(self, ledger: Ledger) -> None:
        """Have it on the disk, whole, when this returns; a kill at any moment leaves this one or the one before."""
        path = self.folder / "ledger.json"
        with (new := path.with_suffix(".new")).open("w") as file:
            json.dump(asdict(ledger), file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        directory = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def epoch(self, number: int) -> Path:
        """The folder of an epoch."""
        return self.folder / f"epoch-{number}"

    def report(self, epoch: int, party: int) -> Path:
        """Where a worker leaves its report."""
        return self.epoch(epoch) / f"worker-{party}.report.json"

    def sharing_began(self, epoch: int) -> bool:
        """Whether a share of the model may have left the sharing process of an epoch."""
        return (self.epoch(epoch) / SHARING_BEGAN).exists()

    # --- what stays the same ---

    @property
    def setting(self) -> Mapping[str, Any]:
        """What `begin` was given."""
        document: Mapping[str, Any] = json.loads((self.folder / "setting.json").read_text())
        return document

    @property
    def ports(self) -> Ports:
        """Of the workers, in all epochs."""
        return Ports(tuple(self.setting["front"]), tuple(self.setting["peer"]))

    @property
    def authority(self) -> Authority:
        """Of the SecureModel."""
        certificate, key = ((self.folder / name).read_bytes() for name in ("ca.crt", "ca.key"))
        private = serialization.load_pem_private_key(key, None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        namespace, uid = self.setting["namespace"], self.setting["uid"]
        return Authority(namespace, uid, x509.load_pem_x509_certificate(certificate), private)


def begin(folder: Path, authority: Authority, ports: Ports, quota: int, programs: Path) -> Book:
    """A new SecureModel: a quota, an authority, and nothing charged."""
    folder.mkdir(mode=0o700)
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "ca.crt").write_bytes(authority.certificate.public_bytes(pem))
    (folder / "ca.key").write_bytes(authority.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none))
    setting = {
        "namespace": authority.namespace,
        "uid": authority.uid,
        "quota": quota,
        "programs": str(programs),
        **asdict(ports),
    }
    (folder / "setting.json").write_text(json.dumps(setting))
    book = Book(folder)
    book.write(Ledger(quota))
    return book


def _reports(documents: Sequence[Mapping[str, Any] | None]) -> tuple[Report | None, ...]:
    assert len(documents) == PARTIES
    return tuple(Report(**document) if document else None for document in documents)
