"""Programs in numpy, operation by operation: the oracle of the native kernel, and the back end where it is not built.

`evaluate_all` is the meaning of a program: all three parties at once, with nothing sent. `NumpyBackend` is one party of
it, with the same schedule and, byte for byte, the same frames as the native back end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np

from triveni.mpc.execute.batch import Batch, Frame, Setup, Step, Words
from triveni.mpc.execute.tape import frame_order, split_setup
from triveni.mpc.ops import NUMPY, Array, evaluate
from triveni.mpc.program import Input, Node, Program
from triveni.mpc.randomness import Holders, StreamLayout, draw_layout
from triveni.mpc.schedule import Round, Schedule

Values = dict[Node, Array]

NO_ROWS = 0
"""What is held for an epoch has the same size for any number of rows."""


def evaluate_all(
    program: Program, inputs: Callable[[Node], Array], draws: Callable[[Node], Array], rows: int
) -> Values:
    """The value of every node of all three parties, for a batch of `rows` rows.

    `inputs` and `draws` give the values of those nodes, in their shape and type (`ops.NUMPY`).
    """
    values: Values = {}
    for node in program.nodes:
        if node.input:
            values[node] = inputs(node)
        elif node.draw:
            values[node] = draws(node)
        else:
            values[node] = evaluate(node, [values[source] for source in node.inputs], rows)
    return values


class NumpyBackend:
    """One party of a program."""

    def __init__(self, program: Program, party: int) -> None:
        schedule = Schedule(program).party(party)
        self._once, self._each = split_setup(schedule)
        self._ahead, self._online, self._outputs = schedule.ahead, schedule.online, schedule.outputs
        self._output_shape = program.output_shape
        self._epoch_layouts = {h: at for h, at in draw_layout(program, epoch=True).items() if party in h}
        self._layouts = {h: layout for h, layout in draw_layout(program).items() if party in h}
        self._draws = [node for node in program.nodes if node.draw and node.party == party]
        self._inputs = [node for node in program.nodes if node.input and node.party == party]
        self._setup: Values = {}
        self._run: Values = {}
        self._buffers: dict[int, list[memoryview]] = {}

    def load(self, weights: Mapping[Input, Words]) -> Setup:
        self._buffers[NO_ROWS] = []
        given: Values = {n: weights[n.input].copy() for n in self._inputs if n.input and not n.input.is_request}
        streams = self._streams(self._epoch_layouts, NO_ROWS, given)
        self._setup = self._run = given
        steps = tuple(self._step(round_, NO_ROWS, given) for round_ in self._once)
        return Setup(tuple(streams.items()), steps)

    def batch(self, rows: int) -> Batch:
        self._buffers[rows] = []
        given: Values = {}
        streams = self._streams(self._layouts, rows, given)
        request = {}
        for node in self._inputs:
            if node.input and node.input.is_request:
                if node.input not in request:
                    request[node.input] = self._array(node, self._buffer(node.nbytes.at(rows), rows), rows)
                given[node] = request[node.input]
        ahead = tuple(self._step(round_, rows, given) for round_ in self._ahead)
        online = tuple(self._step(round_, rows, given) for round_ in self._online)
        start_run = partial(self._start, given, rows)
        return Batch(rows, tuple(streams.items()), start_run, ahead, request, online, partial(self._answer, rows))

    def erase(self) -> int:
        erased = 0
        for array in [*self._setup.values(), *self._run.values()]:
            if array.flags.writeable:
                array[...] = 0
                erased += array.nbytes
        for buffer in (buffer for buffers in self._buffers.values() for buffer in buffers):
            buffer[:] = bytes(len(buffer))
            erased += len(buffer)
        self._setup, self._run = {}, {}
        return erased

    def _streams(self, layouts: Mapping[Holders, StreamLayout], rows: int, given: Values) -> dict[Holders, memoryview]:
        """A buffer for each keystream; `given` gets the places of the draws in it."""
        streams = {h: self._buffer(layout.size.at(rows), rows) for h, layout in layouts.items()}
        for node in self._draws:
            assert node.draw is not None
            if (layouts is self._epoch_layouts) == node.draw.epoch:
                start = layouts[node.draw.holders].offsets[node.draw.index].at(rows)
                given[node] = self._array(node, streams[node.draw.holders][start:], rows)
        return streams

    def _buffer(self, size: int, rows: int) -> memoryview:
        buffer = memoryview(bytearray(size))
        self._buffers[rows].append(buffer)
        return buffer

    @staticmethod
    def _array(node: Node, buffer: memoryview, rows: int) -> Array:
        """The place of a value at the start of a buffer."""
        shape = tuple(dim.at(rows) for dim in node.shape)
        return np.frombuffer(buffer[: node.nbytes.at(rows)], NUMPY[node.dtype]).reshape(shape)

    def _frame(self, peer: int, nodes: Iterable[Node], rows: int) -> tuple[Frame, Values]:
        """One frame, and the places in it of the values that it carries."""
        order = frame_order(nodes)
        buffer = self._buffer(sum(node.nbytes.at(rows) for node in order), rows)
        places: Values = {}
        at = 0
        for node in order:
            places[node] = self._array(node, buffer[at:], rows)
            at += node.nbytes.at(rows)
        return Frame(peer, buffer), places

    def _step(self, round_: Round, rows: int, given: Values) -> Step:
        sends = [self._frame(peer, nodes, rows) for peer, nodes in round_.sends.items()]
        receives = [self._frame(peer, nodes, rows) for peer, nodes in round_.receives.items()]
        for _, places in receives:
            given.update(places)
        return Step(
            partial(self._before, round_.before, [places for _, places in sends], rows),
            tuple(frame for frame, _ in sends),
            partial(self._compute, round_.after, rows),
            tuple(frame for frame, _ in receives),
        )

    def _start(self, given: Values, rows: int) -> None:
        """A new run: nothing is left of the one before but what was given (draws, and what is yet to come)."""
        for node in self._draws:
            if node in given and node.dtype == "b1":
                given[node].view(np.uint8)[...] &= 1
        self._run = dict(given)
        self._compute(self._each, rows)

    def _before(self, nodes: Iterable[Node], frames: Iterable[Values], rows: int) -> None:
        self._compute(nodes, rows)
        for places in frames:
            for node, place in places.items():
                place[...] = self._value(node, rows)

    def _compute(self, nodes: Iterable[Node], rows: int) -> None:
        for node in nodes:
            self._run[node] = self._evaluate(node, rows)

    def _evaluate(self, node: Node, rows: int) -> Array:
        return evaluate(node, [self._value(source, rows) for source in node.inputs], rows)

    def _value(self, node: Node, rows: int) -> Array:
        if node.op == "const":
            return evaluate(node, (), rows)
        return self._setup[node] if node in self._setup else self._run[node]

    def _answer(self, rows: int) -> tuple[Words, ...]:
        shape = (rows, *self._output_shape)
        return tuple(self._value(node, rows).reshape(shape).copy() for node in self._outputs)
