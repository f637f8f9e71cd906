"""What a recording worker writes down of each run: the shares of its input, and every message of its peers.

What is sent once for an epoch comes before the first run.

One file of records, each a fixed header and the bytes that came.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

HEADER = struct.Struct("<QBBI")


class Phase(IntEnum):
    """When something came: ahead of the request, with it, in the rounds after it, once; or it is the worker's own."""

    AHEAD = 0
    REQUEST = 1
    ONLINE = 2
    KEYSTREAM = 3
    SETUP = 4


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """What came from `peer` in one piece (of a request, and of the worker's own keystreams: their number)."""

    run: int
    phase: Phase
    peer: int
    data: bytes


def write(file: BinaryIO, record: Record) -> None:
    """Append a record."""
    file.write(HEADER.pack(record.run, record.phase, record.peer, len(record.data)) + record.data)
    file.flush()


def read(path: Path) -> Iterator[Record]:
    """The records of a file."""
    content, start = path.read_bytes(), 0
    while start < len(content):
        run, phase, peer, size = HEADER.unpack_from(content, start)
        start += HEADER.size + size
        yield Record(run, Phase(phase), peer, content[start - size : start])


@dataclass(repr=False)
class Run:
    """The transcript of one request at one worker, in the order in which it came.

    A worker that is given no components has an empty request. `keystreams` are those that are frozen from this run on,
    which the worker makes itself.
    """

    request: list[bytes] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    keystreams: list[bytes] = field(default_factory=list)


def runs(path: Path) -> list[Run]:
    """The runs that had a request, in order; a run that was only prepared is left out."""
    found: dict[int, Run] = {}
    for record in read(path):
        run = found.setdefault(record.run, Run())
        match record.phase:
            case Phase.REQUEST:
                run.request.append(record.data)
            case Phase.SETUP:
                continue
            case Phase.KEYSTREAM:
                run.keystreams.append(record.data)
            case _:
                run.messages.append(record.data)
    return [run for run in found.values() if run.request]


def words_of(message: bytes) -> NDArray[np.uint64]:
    """The whole words of a message, from its beginning."""
    return np.frombuffer(message, "<u8", len(message) // 8)


def setup(path: Path) -> list[bytes]:
    """What the peers sent once, for all runs."""
    return [record.data for record in read(path) if record.phase is Phase.SETUP]
