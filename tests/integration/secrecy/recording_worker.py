"""A real worker that writes down everything it receives: ``RECORDING MUTATIONS --config FILE``.

Written are, in the directory RECORDING: for each TLS connection a file of all that was read from it, whoever it was
read by (requests, weights, key agreement, messages, control); and the file `transcript` of what each run was given.

MUTATIONS is a JSON list of `[first run, last run, how, holders]`: in these runs the keystreams of these holders are
`zero`, or `frozen`: the same in each of the runs. All three workers have to be given the same.
"""

from __future__ import annotations

import itertools
import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from triveni.worker.__main__ import main  # first: it keeps signals until there is someone to handle them

from tests.integration.secrecy.transcript import Phase, Record, write  # isort: skip
import numpy as np

from triveni.identity.tls import peer_identity
from triveni.mpc.execute.machine import Links, Machine
from triveni.mpc.randomness import Keystreams


def record_connections(directory: Path) -> None:
    """Every read of TLS, by asyncio (`SSLObject`) or by a blocking socket (`SSLSocket`), goes to a file as well."""
    numbers = itertools.count()

    def recorded(read: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any, size: int = 1024, buffer: Any = None) -> Any:
            got = read(self, size, buffer) if buffer is not None else read(self, size)
            data = bytes(memoryview(buffer)[:got]) if buffer is not None else got
            if data:
                file = getattr(self, "recording", None)
                if file is None:
                    who = peer_identity(self).uri.rpartition("://")[2].replace("/", "-")
                    file = self.recording = (directory / f"{next(numbers):04}-{who}").open("wb", buffering=0)
                file.write(data)
            return got

        return wrapper

    for kind in (ssl.SSLObject, ssl.SSLSocket):
        kind.read = recorded(kind.read)  # type: ignore[method-assign]


class Recorded:
    """Links whose received messages are written down."""

    def __init__(self, links: Links, file: BinaryIO, run: int, phase: Callable[[], Phase]) -> None:
        self._links, self._file, self._run, self._phase = links, file, run, phase
        self.send = links.send

    def receive_into(self, peer: int, buffer: memoryview) -> None:
        self._links.receive_into(peer, buffer)
        write(self._file, Record(self._run, self._phase(), peer, bytes(buffer)))


def record_runs(file: BinaryIO) -> None:
    """What the machine is given and receives goes to a file as well."""
    ahead, online = Machine.ahead, Machine.online

    def recorded_ahead(self: Machine, run: int, rows: int, links: Links) -> None:
        links = Recorded(links, file, run, lambda: Phase.AHEAD if self._set_up else Phase.SETUP)
        ahead(self, run, rows, links)

    def recorded_online(self: Machine, run: int, rows: int, x: Any, links: Links) -> Any:
        for number, words in enumerate(x or [np.zeros(0, np.int64)]):
            write(file, Record(run, Phase.REQUEST, number, words.tobytes()))
        return online(self, run, rows, x, Recorded(links, file, run, lambda: Phase.ONLINE))

    Machine.ahead, Machine.online = recorded_ahead, recorded_online  # type: ignore[method-assign]


def mutate(mutations: list[tuple[int, int, str, list[list[int]]]], file: BinaryIO) -> None:
    """Spoil the keystreams as MUTATIONS says; what is frozen goes to a file."""
    fill = Keystreams.fill
    frozen: dict[tuple[int, tuple[int, ...]], bytes] = {}

    def spoiled(self: Keystreams, holders: tuple[int, ...], run: int, buffer: memoryview) -> None:
        fill(self, holders, run, buffer)
        for first, last, how, sets in mutations:
            if not (first <= run <= last and list(holders) in sets):
                continue
            if how == "zero":
                buffer[:] = bytes(len(buffer))
            elif (first, holders) in frozen:
                buffer[:] = frozen[first, holders]
            else:
                frozen[first, holders] = bytes(buffer)
                write(file, Record(run, Phase.KEYSTREAM, len(frozen), bytes(buffer)))

    Keystreams.fill = spoiled  # type: ignore[method-assign]


if __name__ == "__main__":
    recording, spoil, *arguments = sys.argv[1:]
    Path(recording).mkdir()
    record_connections(Path(recording))
    transcript = (Path(recording) / "transcript").open("wb")
    record_runs(transcript)
    mutate(json.loads(spoil), transcript)
    sys.exit(main(arguments))
