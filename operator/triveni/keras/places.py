"""Where a connection file lies, so that a client's notebook that names the same hosts finds it; and the file itself.

It holds a client's key, so only its user can read it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from triveni.identity.credentials import Credentials
from triveni.keras.bundle import Addresses
from triveni.keras.order import NAME


def default_path(hosts: Sequence[str | None]) -> Path | None:
    """The place for a cluster at these hosts, under XDG_STATE_HOME or ~/.local/state; None if a host has no name."""
    if not all(hosts):
        return None
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    name = "_".join(re.sub(r"[^A-Za-z0-9.-]", "-", host or "") for host in hosts)
    return base / "triveni" / "connections" / f"{name}.json"


def connection_document(namespace: str, uid: str, addresses: Addresses, client: Credentials) -> bytes:
    """What `triveni.client.Connection` reads."""
    document = {
        "name": NAME,
        "namespace": namespace,
        "uid": uid,
        "workers": [f"https://{address}" for address in addresses.front],
        "credentials": client.document(),
    }
    return json.dumps(document, indent=1).encode()


def write_private(path: Path, content: bytes) -> None:
    """Write a file for this user alone, in place of what an earlier cluster at the same hosts may have left.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content)
    os.replace(file.name, path)


def remove(path: Path, content: bytes) -> None:
    """Remove what `write_private` wrote, unless another cluster has written since."""
    try:
        if path.read_bytes() == content:
            path.unlink()
    except FileNotFoundError:
        return
