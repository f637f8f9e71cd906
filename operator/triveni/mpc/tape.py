"""The tape: one party's part of a program as a flat list of records over one arena, for the native kernel.

kernel/record.h describes a record. Every number in a tape is affine in the number of rows, so that one tape holds for
every batch: `Tape.at(rows)` only multiplies and adds. Reshapes cost nothing; views whose elements are not neighbours are
copied where an operation needs them so; a value that is sent is computed straight into its frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.affine import Affine, product, strides
from triveni.mpc.arena import Block, Life, Span, place
from triveni.mpc.program import ITEM_BYTES, Dtype, Input, Node, Program, Shape
from triveni.mpc.randomness import Holders, draw_layout
from triveni.mpc.schedule import PartySchedule, Round, Schedule

MAX_DIMS = 6
OPERANDS = 4
RECORD_WORDS = 40
HEADER_WORDS = 4 + OPERANDS
AXIS_WORDS = 1 + OPERANDS

KINDS: Mapping[Dtype, int] = {"i8": 0, "u1": 1, "b1": 2}

CODES: Mapping[str, int] = {
    name: code
    for code, name in enumerate(
        "add sub mul and or xor shl shr sar select cast copy sum matmul bitslice bitunslice".split()
    )
}
"""The operations of the kernel, in the order of record.h."""

ONE = Affine(1)
ZERO = Affine(0)

NOT_MASK: Mapping[Dtype, int] = {"i8": -1, "u1": 255, "b1": 1}

BIT_ARITHMETIC = {"add": "or", "mul": "and"}
"""What numpy's sum and product of bits are."""


@dataclass(frozen=True)
class InvalidTape(ValueError):
    """A program that cannot be a tape, or a tape that the kernel must not run."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive records of a tape."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class TapeRound:
    """`schedule.Round` as records and places: one frame to and from each peer."""

    before: Segment
    sends: tuple[tuple[int, Span], ...]
    after: Segment
    receives: tuple[tuple[int, Span], ...]


@dataclass(frozen=True)
class Tape:
    """Everything that one party does, for every number of rows.

    `once` is run when the weights are there, `each` at the start of every run, when the keystreams are filled.
    """

    fixed: NDArray[np.int64]
    per_row: NDArray[np.int64]
    arena: Affine
    constants: tuple[tuple[int, bytes], ...]
    inputs: Mapping[Input, Span]
    streams: Mapping[Holders, Span]
    once: Segment
    each: Segment
    ahead: tuple[TapeRound, ...]
    online: tuple[TapeRound, ...]
    outputs: tuple[Span, Span]

    def at(self, rows: int) -> NDArray[np.int64]:
        """The records for a batch of `rows` rows, int64 (records, 40)."""
        return self.fixed + rows * self.per_row


def frame_order(nodes: Iterable[Node]) -> list[Node]:
    """The order of the values in a frame: words before bytes, so that words are aligned without padding."""
    return sorted(nodes, key=lambda node: -ITEM_BYTES[node.dtype])


def split_setup(schedule: PartySchedule) -> tuple[list[Node], list[Node]]:
    """Setup values that hold for an epoch, and those whose size depends on the rows, computed anew in each run."""
    each: set[Node] = set()
    for node in schedule.setup:
        sizes = (node.size, *(i.size for i in node.inputs if i.op != "const"))
        if any(size.per_row for size in sizes) or not each.isdisjoint(node.inputs):
            each.add(node)
    return [n for n in schedule.setup if n not in each], [n for n in schedule.setup if n in each]


def compile_tape(program: Program, party: int) -> Tape:
    """One party's tape.

    Raises:
        InvalidTape: a value does not fit its operation, or an operation has no record (see `ops.OPS`).
    """
    return _Writer(program, Schedule(program).party(party)).write()


# --- records with blocks, before places are known -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _View:
    """Where a value lies: `offset` in bytes within its block, strides in elements (0: repeated)."""

    block: Block
    offset: Affine
    strides: Shape


@dataclass(frozen=True, slots=True)
class _Record:
    code: int
    kind: int
    dims: Shape
    operands: tuple[_View, ...]
    extra: Affine = ZERO


def _contiguous(dims: Shape, steps: Shape) -> bool:
    return all(
        step == wanted for dim, step, wanted in zip(dims, steps, strides(dims), strict=True) if dim != ONE
    )


def _merged(dims: Shape, steps: Sequence[Shape]) -> tuple[Shape, list[Shape]]:
    """The same walk with as few axes as can be; `steps` are the strides of each operand."""
    axes: list[tuple[Affine, list[Affine]]] = []
    for axis, dim in enumerate(dims):
        here = [s[axis] for s in steps]
        if dim == ONE:
            continue
        # Operand by operand: one step on the outer axis is a whole inner axis.
        if axes and all(_is_multiple(o, i, dim) for o, i in zip(axes[-1][1], here, strict=True)):
            outer = axes.pop()[0]
            axes.append((outer * dim, here))
        else:
            axes.append((dim, here))
    if not axes:
        axes = [(ONE, [ZERO] * len(steps))]
    return tuple(dim for dim, _ in axes), [tuple(s[o] for _, s in axes) for o in range(len(steps))]


def _is_multiple(outer: Affine, inner: Affine, dim: Affine) -> bool:
    if inner == ZERO or outer == ZERO:
        return inner == outer
    return not (inner.per_row and dim.per_row) and outer == inner * dim


def _broadcast(node: Node, dims: Shape, view: _View, shape: Shape) -> _View:
    """An operand of `dims` read as one of `shape`, by numpy's rules."""
    missing = len(shape) - len(dims)
    if missing < 0:
        raise InvalidTape(repr(node), f"an operand has {len(dims)} axes")
    steps = [ZERO] * missing
    for dim, wanted, step in zip(dims, shape[missing:], view.strides, strict=True):
        if dim != wanted and dim != ONE:
            raise InvalidTape(repr(node), f"an operand with {dim} in place of {wanted} elements")
        steps.append(step if dim == wanted else ZERO)
    return _View(view.block, view.offset, tuple(steps))


class _Writer:
    """Writes the tape of one party, record by record, and then gives every block its place."""

    def __init__(self, program: Program, schedule: PartySchedule) -> None:
        self.party = schedule.party
        self.schedule = schedule
        self.program = program
        self.records: list[_Record] = []
        self.blocks: list[Block] = []
        self.views: dict[Node, _View] = {}
        self.homes: dict[Node, _View] = {}
        self.constants: dict[tuple[Dtype, int], Block] = {}
        self.life = Life.EPOCH
        self.step = 0
        self.readers: dict[Node, list[Node]] = {}
        for node in program.nodes:
            if node.party == self.party:
                for source in node.inputs:
                    self.readers.setdefault(source, []).append(node)

    def write(self) -> Tape:
        streams = self._streams()
        weights = self._inputs(request=False)
        once_nodes, each_nodes = split_setup(self.schedule)
        once = self._segment(once_nodes)
        self.life = Life.SCRATCH
        masks = [n for n in self.views if n.draw is not None and n.dtype == "b1"]
        first = len(self.records)
        for node in masks:
            view = self.views[node]
            self._elementwise("and", "b1", node.shape, [view, view, self._constant("b1", 1, node.shape)])
        self._segment(each_nodes)
        each = Segment(first, len(self.records) - first)
        ahead = [self._round(r) for r in self.schedule.ahead]
        request = self._inputs(request=True)
        online = [self._round(r) for r in self.schedule.online]
        outputs = [self._output(node) for node in self.schedule.outputs]
        arena = place(self.blocks)
        fixed, per_row = self._matrices()
        return Tape(
            fixed,
            per_row,
            arena,
            tuple((block.offset.fixed, _bytes(dtype, v)) for (dtype, v), block in self.constants.items()),
            {i: (block.offset, block.size) for i, block in (weights | request).items()},
            {holders: (block.offset, block.size) for holders, block in streams.items()},
            once,
            each,
            tuple(_placed(r) for r in ahead),
            tuple(_placed(r) for r in online),
            (outputs[0](), outputs[1]()),
        )
