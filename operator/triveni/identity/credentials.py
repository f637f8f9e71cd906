"""What one party shows and trusts: its certificate, its key, and the authority that everyone it meets must come from.

In a directory these are the three files of a Kubernetes TLS Secret, in a JSON document three texts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"

_TEXTS = ("certificate", "key", "ca")


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """PEM texts; the key is secret and never shown."""

    certificate: bytes
    key: bytes
    ca: bytes

    def __repr__(self) -> str:
        return "<Credentials, key not shown>"

    @classmethod
    def read(cls, directory: Path | str) -> Credentials:
        """Read the three files of `directory`; OSError, naming the file, if one is missing or not readable."""
        folder = Path(directory)
        return cls(*((folder / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY)))

    @classmethod
    def of_document(cls, document: Any) -> Credentials:
        """Those of a `document`; ValueError, which says what is needed, if it is none."""
        texts = [document.get(key) for key in _TEXTS] if isinstance(document, dict) else [None]
        if not all(isinstance(text, str) and text.isascii() for text in texts):
            raise ValueError(f"{', '.join(_TEXTS)} are needed, as PEM texts")
        return cls(*(document[key].encode() for key in _TEXTS))

    def document(self) -> dict[str, str]:
        """As they stand in bundles, orders and connection files. The key is among them."""
        return {key: getattr(self, key).decode() for key in _TEXTS}

    def write(self, directory: Path | str) -> None:
        """Write the three files into `directory` (made if missing); only the owner can read the key."""
        folder = Path(directory)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data, mode in (
            (CERTIFICATE, self.certificate, 0o644),
            (AUTHORITY, self.ca, 0o644),
            (KEY, self.key, 0o600),
        ):
            path = folder / name
            path.unlink(missing_ok=True)  # an older file may have another mode
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
