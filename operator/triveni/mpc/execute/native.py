"""The native back end: the tape of one party, executed by the kernel over one arena."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType

import numpy as np

from triveni.mpc.execute.arena import Span
from triveni.mpc.execute.batch import Batch, Compute, Frame, Setup, Step, Words
from triveni.mpc.execute.tape import InvalidTape, Segment, Tape, TapeRound
from triveni.mpc.execute.tape_writer import compile_tape
from triveni.mpc.program import Input, Program

KERNEL: ModuleType | None
try:
    KERNEL = importlib.import_module("triveni.mpc.execute._kernel")
except ImportError:
    # There was no compiler: every program runs in numpy.
    KERNEL = None


def checked(tape: Tape, rows: int, kernel: ModuleType, arena_bytes: int, part: Segment | None = None) -> bytes:
    """The records for `rows` rows, all or a part, when what they touch lies inside the arena; InvalidTape otherwise."""
    first, count = (part.first, part.count) if part else (0, len(tape.fixed))
    records = tape.at(rows)[first : first + count].tobytes()
    bad = kernel.check(records, arena_bytes)
    if bad >= 0:
        raise InvalidTape(f"record {first + bad} of the tape for {rows} rows", "not one that may be executed")
    return records


class NativeBackend:
    """One party of a program, for up to `max_rows` rows."""

    def __init__(self, program: Program, party: int, max_rows: int, kernel: ModuleType) -> None:
        self._kernel = kernel
        self._output_shape = program.output_shape
        self._shapes = {node.input: node.shape for node in program.nodes if node.input and node.party == party}
        self._tape = compile_tape(program, party)
        # Anonymous pages: aligned, zero, and resident only as far as they have been used.
        self._map = mmap.mmap(-1, max(self._tape.arena.at(max_rows), 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_DONTDUMP"):
            self._map.madvise(mmap.MADV_DONTDUMP)
        self._arena = memoryview(self._map)
        self._used = self._tape.epoch_bytes
        for offset, data in self._tape.constants:
            self._arena[offset : offset + len(data)] = data

    def load(self, weights: Mapping[Input, Words]) -> Setup:
        tape = self._tape
        for secret in tape.inputs:
            if not secret.is_request:
                self._words(secret, 1)[...] = weights[secret]
        records = checked(tape, 1, self._kernel, tape.epoch_bytes, Segment(0, tape.each.first))
        return Setup(
            tuple((holders, self._bytes(span, 1)) for holders, span in tape.epoch_streams.items()),
            tuple(self._step(records, round_, 1) for round_ in tape.setup),
        )

    def batch(self, rows: int) -> Batch:
        tape = self._tape
        self._used = max(self._used, tape.arena.at(rows))
        records = checked(tape, rows, self._kernel, tape.arena.at(rows))
        return Batch(
            rows,
            tuple((holders, self._bytes(span, rows)) for holders, span in tape.streams.items()),
            self._computation(records, tape.each),
            tuple(self._step(records, round_, rows) for round_ in tape.ahead),
            {secret: self._words(secret, rows) for secret in tape.inputs if secret.is_request},
            tuple(self._step(records, round_, rows) for round_ in tape.online),
            partial(self._answer, [self._bytes(span, rows) for span in tape.outputs]),
        )

    def erase(self) -> int:
        self._kernel.wipe_stack()
        np.frombuffer(self._arena, np.uint8)[: self._used] = 0
        return self._used

    def _bytes(self, span: Span, rows: int) -> memoryview:
        start = span[0].at(rows)
        return self._arena[start : start + span[1].at(rows)]

    def _words(self, secret: Input, rows: int) -> Words:
        shape = tuple(dim.at(rows) for dim in self._shapes[secret])
        return np.frombuffer(self._bytes(self._tape.inputs[secret], rows), np.int64).reshape(shape)

    def _computation(self, records: bytes, segment: Segment) -> Compute | None:
        if not segment.count:
            return None
        return partial(self._kernel.run, records, segment.first, segment.count, self._arena)

    def _step(self, records: bytes, round_: TapeRound, rows: int) -> Step:
        return Step(
            self._computation(records, round_.before),
            tuple(Frame(peer, self._bytes(span, rows)) for peer, span in round_.sends),
            self._computation(records, round_.after),
            tuple(Frame(peer, self._bytes(span, rows)) for peer, span in round_.receives),
        )

    def _answer(self, buffers: Sequence[memoryview]) -> tuple[Words, ...]:
        shape = (-1, *self._output_shape)
        return tuple(np.frombuffer(buffer, np.int64).reshape(shape).copy() for buffer in buffers)
