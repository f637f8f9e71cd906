"""The machine: executes one party's part of a program over links to the other two.

A run has two parts. `ahead` makes the masks and exchanges what does not depend on the request; `online` takes the
request's shares to the shares of the answer. Both block, and both are called from one thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import numpy as np

from triveni.mpc.execute.batch import Backend, Batch, Setup, Step, Words
from triveni.mpc.execute.interpret import NumpyBackend
from triveni.mpc.execute.native import KERNEL, NativeBackend
from triveni.mpc.program import Input, Program
from triveni.mpc.randomness import MAX_RUN, Keystreams, MissingKey, RunNumberReused, draw_layout
from triveni.mpc.schedule import Phase, Schedule
from triveni.mpc.sharing import components_of

BATCHES_KEPT = 8
"""Batch sizes that are kept ready; making one takes less than a millisecond."""


class Links(Protocol):
    """The links to the two peers: each frame arrives once, whole and in order, or not at all."""

    def send(self, peer: int, frame: memoryview) -> None:
        """Send a frame. It may return early: the frame's bytes stay as they are until the next call of `ahead`."""

    def receive_into(self, peer: int, buffer: memoryview) -> None:
        """Fill the whole buffer with the peer's next frame, of exactly this length; PeerLost if it does not come."""


@dataclass(eq=False)
class PeerLost(Exception):
    """A peer cannot be reached any more, or did not answer in time."""

    peer: int

    def __str__(self) -> str:
        return f"worker {self.peer} is lost"


@dataclass(eq=False)
class WrongWeights(ValueError):
    """The weights are not those that the program needs."""

    name: str
    problem: str

    def __str__(self) -> str:
        return f"weight {self.name!r} {self.problem}"


@dataclass(eq=False)
class WrongRequest(ValueError):
    """A run of rows or of shares that the program cannot take."""

    problem: str

    def __str__(self) -> str:
        return self.problem


@dataclass(eq=False)
class NotPrepared(Exception):
    """`online` was called without the `ahead` of the same run and rows right before it."""

    run: int
    rows: int

    def __str__(self) -> str:
        return f"run {self.run} of {self.rows} rows has not been prepared"


class NoKernel(Exception):
    """The native kernel was asked for where it is not built."""

    def __str__(self) -> str:
        return "the native kernel is not built here; install triveni with a C compiler, or let it run in numpy"


class NoWeights(Exception):
    """A run was asked for before the weights were there, or after they had been erased."""

    def __str__(self) -> str:
        return "the machine holds no weights"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a machine has done: runs, and rounds and bytes sent of both their parts."""

    runs: int = 0
    rounds: int = 0
    bytes_sent: int = 0


class Machine:
    """One party of a program in one epoch.

    `native` chooses the back end: the kernel (True; NoKernel if it is not built), numpy (False), or the kernel where it
    is built (None).
    """

    def __init__(
        self, program: Program, party: int, keystreams: Keystreams, max_rows: int, native: bool | None = None
    ) -> None:
        layouts = draw_layout(program) | draw_layout(program, epoch=True)
        missing = [h for h in layouts if party in h and h not in keystreams.holders]
        if missing:
            raise MissingKey(missing[0])
        self._program = program
        self._party = party
        self._keystreams = keystreams
        self._max_rows = max_rows
        self._backend = _backend(program, party, max_rows, KERNEL if native in (None, True) else None, native)
        self._batches: OrderedDict[int, Batch] = OrderedDict()
        self._setup: Setup | None = None
        self._set_up = False
        self._last_run = 0
        self._prepared: tuple[int, int] | None = None
        schedule = Schedule(program)
        self._ahead_rounds, self._online_rounds = schedule.rounds(Phase.AHEAD), schedule.rounds(Phase.ONLINE)
        self._runs = self._rounds = self._bytes_sent = 0

    @property
    def is_native(self) -> bool:
        """Whether the native kernel executes the program."""
        return isinstance(self._backend, NativeBackend)

    @property
    def statistics(self) -> Statistics:
        """What has been done so far."""
        return Statistics(self._runs, self._rounds, self._bytes_sent)

    def load_weights(self, weights: Mapping[str, tuple[Words, ...]]) -> None:
        """Take this party's components of every weight (int64, in the shapes of `Program.weights`).

        Raises:
            WrongWeights: one is missing, unknown, or has another shape or type.
            EpochDrawn: there were weights before, under masks that are good for one set of them only.
        """
        mine = components_of(self._party, self._program.protocol)
        wanted = self._program.weights
        for name in [*wanted, *weights]:
            if name not in weights or name not in wanted:
                raise WrongWeights(name, "is missing" if name in wanted else "is not one of the program's")
            if len(weights[name]) != len(mine):
                raise WrongWeights(name, f"has {len(weights[name])} components here, not {len(mine)}")
            for words in weights[name]:
                if words.shape != tuple(wanted[name]) or words.dtype != np.int64:
                    raise WrongWeights(
                        name, f"has type {words.dtype}{list(words.shape)}, not int64{list(wanted[name])}"
                    )
        setup = self._backend.load(
            {
                Input(name, component): words
                for name, components in weights.items()
                for component, words in zip(mine, components, strict=True)
            }
        )
        for holders, buffer in setup.streams:
            self._keystreams.fill_epoch(holders, buffer)
        self._setup, self._set_up = setup, False

    def ahead(self, run: int, rows: int, links: Links) -> None:
        """Make the masks of a run and exchange all that does not depend on the request.

        The first call also opens the weights under their masks, where the protocol does that: all three parties have
        their weights by then.

        Raises:
            RunNumberReused: `run` is not above all runs before it (a run that was prepared but not used counts).
            WrongRequest: more rows than `max_rows`, or none.
            NoWeights: before `load_weights`.
            PeerLost: from the links; the run is lost, the machine can do another.
        """
        if self._setup is None:
            raise NoWeights
        if not 1 <= rows <= self._max_rows:
            raise WrongRequest(f"a batch has 1 to {self._max_rows} rows, not {rows}")
        if not self._last_run < run <= MAX_RUN:
            raise RunNumberReused(run, self._last_run)
        self._last_run, self._prepared = run, None
        if not self._set_up:
            self._take(self._setup.steps, links)
            self._set_up = True
        batch = self._batch(rows)
        for holders, buffer in batch.streams:
            self._keystreams.fill(holders, run, buffer)
        if batch.start:
            batch.start()
        self._take(batch.ahead, links)
        self._rounds += self._ahead_rounds
        self._prepared = (run, rows)

    def online(self, run: int, rows: int, x: tuple[Words, ...], links: Links) -> tuple[Words, ...]:
        """This party's components of the answer, int64 (rows, *output_shape), for those of the request `x`.

        Raises:
            NotPrepared: `ahead` was not called right before, with the same run and rows.
            WrongRequest: a component of the request is not int64 (rows, *input_shape).
            PeerLost: from the links; the run is lost.
        """
        if self._prepared != (run, rows):
            raise NotPrepared(run, rows)
        shape = (rows, *self._program.input_shape)
        mine = components_of(self._party, self._program.protocol)
        if len(x) != len(mine):
            raise WrongRequest(f"there are {len(x)} components of the request, not {len(mine)}")
        if any(words.shape != shape or words.dtype != np.int64 for words in x):
            raise WrongRequest(f"a component of the request is int64{list(shape)}")
        self._prepared = None
        batch = self._batch(rows)
        for component, words in zip(mine, x, strict=True):
            place = batch.request.get(Input("x", component))
            if place is not None:
                place[...] = words.reshape(place.shape)
        self._take(batch.online, links)
        self._rounds += self._online_rounds
        self._runs += 1
        return batch.answer()

    def erase(self) -> int:
        """Overwrite weights, values, keys; how many bytes that were. The machine is of no use afterwards."""
        self._setup, self._prepared = None, None
        return self._backend.erase() + self._keystreams.erase()

    def _batch(self, rows: int) -> Batch:
        batch = self._batches.get(rows)
        if batch is None:
            batch = self._batches[rows] = self._backend.batch(rows)
            if len(self._batches) > BATCHES_KEPT:
                self._batches.popitem(last=False)
        self._batches.move_to_end(rows)
        return batch

    def _take(self, steps: Iterable[Step], links: Links) -> None:
        for step in steps:
            if step.before:
                step.before()
            for frame in step.sends:
                links.send(frame.peer, frame.buffer)
                self._bytes_sent += len(frame.buffer)
            if step.after:
                step.after()
            for frame in step.receives:
                links.receive_into(frame.peer, frame.buffer)

    def __repr__(self) -> str:
        return f"<Machine of party {self._party}, {'native' if self.is_native else 'numpy'}>"


def _backend(program: Program, party: int, max_rows: int, kernel: ModuleType | None, native: bool | None) -> Backend:
    if kernel:
        return NativeBackend(program, party, max_rows, kernel)
    if native:
        raise NoKernel
    return NumpyBackend(program, party)
