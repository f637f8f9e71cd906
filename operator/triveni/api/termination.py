"""The termination message: the last words of a container, one JSON object that the operator reads from its status.

Kubernetes keeps 4096 bytes of it and cuts what is longer, after which it is no JSON: here the text for people is cut
instead. On one machine it is an ordinary file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 4096

CUT = "..."


def encode(document: Mapping[str, Any]) -> bytes:
    """One line of at most `MAX_BYTES`; for that the value of `message` is cut, which the rest must leave room for."""
    line = _line(document)
    if len(line) <= MAX_BYTES:
        return line
    message, shortest = str(document["message"]), _line({**document, "message": CUT})
    kept = message.encode(errors="replace")[: MAX_BYTES - len(shortest)]
    # JSON writes a quote, a backslash or a control character with more bytes than it has.
    while len(line := _line({**document, "message": kept.decode(errors="ignore") + CUT})) > MAX_BYTES:
        kept = kept[: -max(1, len(line) - MAX_BYTES)]
    return line


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write the last words, whole or not at all.

    In a pod the path is a single file mounted into the container, which no rename can replace: that one is written in
    place, in one write.

    Raises:
        OSError: it cannot be written.
    """
    line = encode(document)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(line)
                file.close()
                os.replace(file.name, path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError:
        path.write_bytes(line)


def _line(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False) + "\n").encode(errors="replace")
