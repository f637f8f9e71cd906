"""The termination message: the last words of a container, one JSON object that the operator reads from its status.

Kubernetes keeps 4096 bytes of it and cuts what is longer, after which it is no JSON: here the text for people is cut
instead. On one machine it is an ordinary file.
"""

from __future__ import annotations

import json
import os
import tempfile
from bisect import bisect_right
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
    message = str(document["message"])

    def cut(length: int) -> bytes:
        return _line({**document, "message": message[:length] + CUT})

    # JSON writes some characters with six bytes and some with one, so how many fit is found by trying.
    return cut(bisect_right(range(len(message)), MAX_BYTES, key=lambda length: len(cut(length))) - 1)


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
