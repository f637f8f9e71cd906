"""Small messages between workers: a length of four bytes, then JSON. Shares never travel in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

LENGTH_BYTES = 4

MAX_BYTES = 512 * 1024
"""An order of 256 requests fits, whose keys have 192 characters that JSON writes with up to twelve bytes each."""


@dataclass(eq=False)
class InvalidFrame(Exception):
    """A message of a peer that is not what its place asks for."""

    problem: str

    def __str__(self) -> str:
        return f"a message of a peer {self.problem}"


def encode(document: Any) -> bytes:
    """One frame."""
    text = json.dumps(document, separators=(",", ":")).encode()
    if len(text) > MAX_BYTES:
        raise InvalidFrame(f"would have {len(text)} bytes, at most {MAX_BYTES} are possible")
    return len(text).to_bytes(LENGTH_BYTES, "big") + text


def length(prefix: bytes | bytearray | memoryview) -> int:
    """The length that the first four bytes of a frame announce; InvalidFrame if it is too large."""
    size = int.from_bytes(prefix[:LENGTH_BYTES], "big")
    if not 1 <= size <= MAX_BYTES:
        raise InvalidFrame(f"announces {size} bytes, 1 to {MAX_BYTES} are possible")
    return size


def decode(text: bytes | bytearray) -> Any:
    """The document of a frame without its length; InvalidFrame if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidFrame("is not JSON") from None


class Reader:
    """Cuts a stream of bytes into documents."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The documents that `data` completes; InvalidFrame as `length` and `decode`."""
        self._buffer += data
        documents = []
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + length(self._buffer)
            if len(self._buffer) < end:
                break
            documents.append(decode(self._buffer[LENGTH_BYTES:end]))
            del self._buffer[:end]
        return documents
