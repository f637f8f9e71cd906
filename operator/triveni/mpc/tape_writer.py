"""Writes the tape of one party: records first, whose operands are views of blocks, then a place for every block.

Reshapes cost nothing. A view whose elements are not neighbours stays a view where every reader can walk it, and is
copied otherwise. A value that is sent is computed straight into its frame; what is received stays in its frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.affine import Affine, affine, product, strides
from triveni.mpc.arena import Block, Life, Span, place
from triveni.mpc.ops import ELEMENTWISE, NUMPY
from triveni.mpc.program import ITEM_BYTES, Dtype, Input, Node, Program, Shape
from triveni.mpc.randomness import Holders, draw_layout
from triveni.mpc.schedule import Round, Schedule
from triveni.mpc.tape import (
    AXIS_WORDS,
    CODES,
    HEADER_WORDS,
    KINDS,
    MAX_DIMS,
    RECORD_WORDS,
    InvalidTape,
    Segment,
    Tape,
    TapeRound,
    frame_order,
    split_setup,
)
from triveni.mpc.view import ONE, ZERO, View, merged

WALKS_ANY_VIEW = ELEMENTWISE | {"stack", "pad", "patches", "sum", "slice", "transpose"}
"""Operations whose records can read a view with any strides."""

ALL_ONES: Mapping[Dtype, int] = {"i8": -1, "u1": 255, "b1": 1}

ON_BITS = {"add": "or", "mul": "and"}
"""What numpy's sum and product of bits are."""


def compile_tape(program: Program, party: int) -> Tape:
    """One party's tape.

    Raises:
        InvalidTape: a value does not fit its operation, or the kernel has no such operation.
    """
    return _Writer(program, party).write()


@dataclass(frozen=True, slots=True)
class _Record:
    code: int
    kind: int
    dims: Shape
    operands: tuple[View, ...]
    """All have as many axes as `dims`."""
    extra: Affine = ZERO

    def numbers(self) -> list[Affine]:
        """The record as record.h has it, when every block has its place."""
        words = [Affine(self.code), Affine(self.kind), Affine(len(self.dims)), self.extra]
        words += [view.block.offset + view.offset for view in self.operands]
        words += [ZERO] * (HEADER_WORDS - len(words))
        for axis, dim in enumerate(self.dims):
            axis_words = [dim, *(view.steps[axis] for view in self.operands)]
            words += axis_words + [ZERO] * (AXIS_WORDS - len(axis_words))
        return words + [ZERO] * (RECORD_WORDS - len(words))


@dataclass(frozen=True, slots=True)
class _Round:
    """A TapeRound before places are known."""

    before: Segment
    sends: Mapping[int, Block]
    after: Segment
    receives: Mapping[int, Block]

    def placed(self) -> TapeRound:
        return TapeRound(self.before, _spans(self.sends), self.after, _spans(self.receives))


def _spans(frames: Mapping[int, Block]) -> tuple[tuple[int, Span], ...]:
    return tuple((peer, (block.offset, block.size)) for peer, block in frames.items())


class _Writer:
    def __init__(self, program: Program, party: int) -> None:
        self.program = program
        self.party = party
        self.records: list[_Record] = []
        self.blocks: list[Block] = []
        self.constants: dict[tuple[Dtype, int], Block] = {}
        self.views: dict[Node, View] = {}
        self.homes: dict[Node, View] = {}
        """Where in a frame a value that is sent is to be computed."""
        self.life = Life.EPOCH
        """Of the values that are computed now."""
        self.moment = 0
        self.readers: dict[Node, list[Node]] = {}
        for node in program.nodes:
            if node.party == party:
                for source in node.inputs:
                    self.readers.setdefault(source, []).append(node)

    def write(self) -> Tape:
        schedule = Schedule(self.program).party(self.party)
        streams = self._streams()
        weights = self._inputs(request=False)
        once_nodes, each_nodes = split_setup(schedule)
        once = self._segment(once_nodes)
        self.life = Life.SCRATCH
        first = len(self.records)
        self._mask_bits()
        self._segment(each_nodes)
        each = Segment(first, len(self.records) - first)
        ahead = [self._round(round_) for round_ in schedule.ahead]
        request = self._inputs(request=True)
        online = [self._round(round_) for round_ in schedule.online]
        answer = [self._answer(node) for node in schedule.outputs]
        arena = place(self.blocks)
        fixed, per_row = self._matrices()
        return Tape(
            fixed,
            per_row,
            arena,
            sum(block.size.aligned(64).fixed for block in self.blocks if block.life is Life.EPOCH),
            tuple((block.offset.fixed, _item(*key)) for key, block in self.constants.items()),
            {secret: (block.offset, block.size) for secret, block in (weights | request).items()},
            {holders: (block.offset, block.size) for holders, block in streams.items()},
            once,
            each,
            tuple(round_.placed() for round_ in ahead),
            tuple(round_.placed() for round_ in online),
            (answer[0](), answer[1]()),
        )

    # --- blocks ---------------------------------------------------------------------------------------------------

    def _block(self, size: Affine, life: Life) -> Block:
        block = Block(size, life)
        self.blocks.append(block)
        return block

    def _touch(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            block.touch(self.moment)
        self.moment += 1

    def _streams(self) -> dict[Holders, Block]:
        """A block for each keystream of this party, and in it the views of its draws."""
        try:
            layouts = draw_layout(self.program)
        except ValueError as error:
            raise InvalidTape("the draws", str(error)) from error
        streams = {
            holders: self._block(layout.size, Life.RUN)
            for holders, layout in layouts.items()
            if self.party in holders
        }
        for node in self.program.nodes:
            if node.draw and node.party == self.party:
                if node.draw.holders not in streams:
                    raise InvalidTape(repr(node), "a draw of a key that the party does not hold")
                offset = layouts[node.draw.holders].offsets[node.draw.index]
                self.views[node] = View.dense(streams[node.draw.holders], offset, node.shape)
        return streams

    def _inputs(self, *, request: bool) -> dict[Input, Block]:
        blocks = {}
        for node in self.program.nodes:
            if node.input and node.party == self.party and node.input.is_request == request:
                block = blocks.get(node.input)
                if block is None:
                    block = blocks[node.input] = self._block(node.nbytes, self.life)
                if block.size != node.nbytes:
                    raise InvalidTape(repr(node), f"the same input has {block.size} bytes elsewhere")
                self.views[node] = View.dense(block, ZERO, node.shape)
        self._touch(blocks.values())
        return blocks

    def _constant(self, dtype: Dtype, value: int, dims: Shape = ()) -> View:
        key = (dtype, int(value))
        if key not in self.constants:
            self.constants[key] = self._block(Affine(ITEM_BYTES[dtype]), Life.EPOCH)
        return View(self.constants[key], ZERO, dims, (ZERO,) * len(dims))

    def _source(self, node: Node) -> View:
        if node.op == "const":
            return self._constant(node.dtype, node.attrs["value"], node.shape)
        return self.views[node]

    def _new(self, node: Node) -> View:
        """Where to compute a value: in the frame that carries it away, or in a block of its own."""
        return self.homes.get(node) or View.dense(self._block(node.nbytes, self.life), ZERO, node.shape)

    def _dense(self, node: Node) -> View:
        """The value one element after the other, copied if it has to be."""
        view = self._source(node)
        if view.is_dense:
            return view
        to = View.dense(self._block(node.nbytes, self.life), ZERO, node.shape)
        self._copy(node.dtype, to, view)
        return to

    # --- segments, frames, answers --------------------------------------------------------------------------------

    def _segment(self, nodes: Iterable[Node]) -> Segment:
        first = len(self.records)
        for node in nodes:
            try:
                self.views[node] = self._compute(node)
            except ValueError as error:
                if isinstance(error, InvalidTape):
                    raise
                raise InvalidTape(repr(node), str(error)) from error
        return Segment(first, len(self.records) - first)

    def _mask_bits(self) -> None:
        """Draws of bits are bytes of a keystream: keep one bit of each."""
        for node, view in self.views.items():
            if node.draw and node.dtype == "b1":
                one = self._constant("b1", 1, node.shape)
                self._record("and", "b1", node.shape, view, view, one)

    def _round(self, round_: Round) -> _Round:
        frames = {peer: self._frame(nodes, Life.RUN) for peer, nodes in round_.sends.items()}
        for _, places in frames.values():
            for node, place_ in places:
                self._offer_home(node, place_)
        before = self._segment(round_.before)
        first = len(self.records)
        for _, places in frames.values():
            for node, place_ in places:
                value = self._source(node)
                if (value.block, value.offset) != (place_.block, place_.offset):
                    self._copy(node.dtype, place_, value)
        before = Segment(before.first, before.count + len(self.records) - first)
        after = self._segment(round_.after)
        incoming = {peer: self._frame(nodes, self.life) for peer, nodes in round_.receives.items()}
        for _, places in incoming.values():
            self.views.update(places)
        self._touch(block for block, _ in incoming.values())
        return _Round(
            before,
            {peer: block for peer, (block, _) in frames.items()},
            after,
            {peer: block for peer, (block, _) in incoming.items()},
        )

    def _frame(self, nodes: Sequence[Node], life: Life) -> tuple[Block, list[tuple[Node, View]]]:
        """A block for one frame, and the place of each value in it."""
        block, end, places = self._block(ZERO, life), ZERO, []
        for node in frame_order(nodes):
            places.append((node, View.dense(block, end, node.shape)))
            end += node.nbytes
        block.size = end
        return block, places

    def _offer_home(self, node: Node, place_: View) -> None:
        """Have a value computed in its place in the frame; what is reshaped from it before it is sent, too."""
        while node.op == "reshape" and node.inputs[0].party == self.party:
            node = node.inputs[0]
        if node.op not in ("draw", "input", "const", "reshape") and node not in self.homes | self.views:
            self.homes[node] = place_.with_dims(node.shape)

    def _answer(self, node: Node) -> Callable[[], Span]:
        if node.dtype != "i8":
            raise InvalidTape(repr(node), "an answer is made of words")
        first = len(self.records)
        view = self._dense(node)
        if len(self.records) > first:
            raise InvalidTape(repr(node), "an answer has to be computed in one piece")
        self._touch([view.block])
        return lambda: (view.block.offset + view.offset, node.nbytes)

    # --- records --------------------------------------------------------------------------------------------------

    def _record(
        self, op: str, dtype: Dtype, dims: Shape, *operands: View, extra: Affine = ZERO, keep: int = 0
    ) -> None:
        """A record over `dims`, whose operands broadcast to it; the last `keep` axes are left as they are."""
        views = [view.broadcast(dims) for view in operands]
        free = len(dims) - keep
        walk, steps = merged(dims[:free], [view.steps[:free] for view in views])
        if keep and walk == (ONE,):
            walk, steps = (), [()] * len(views)
        walk += dims[free:]
        if ZERO in walk:
            raise ValueError("a value without elements")
        if len(walk) > MAX_DIMS:
            raise ValueError(f"a walk over {len(walk)} axes, where {MAX_DIMS} are possible")
        self.records.append(
            _Record(
                CODES[op],
                KINDS[dtype],
                walk,
                tuple(
                    View(view.block, view.offset, walk, some + view.steps[free:])
                    for view, some in zip(views, steps, strict=True)
                ),
                extra,
            )
        )
        self._touch(view.block for view in views)

    def _copy(self, dtype: Dtype, to: View, value: View) -> None:
        self._record("copy", dtype, to.dims, to, value)

    def _matrices(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = [record.numbers() for record in self.records]
        fixed = np.array([[n.fixed for n in row] for row in rows], np.int64)
        per_row = np.array([[n.per_row for n in row] for row in rows], np.int64)
        return fixed.reshape(-1, RECORD_WORDS), per_row.reshape(-1, RECORD_WORDS)

    # --- operations -----------------------------------------------------------------------------------------------

    def _compute(self, node: Node) -> View:
        match node.op:
            case "reshape":
                return self._in_place_or_home(node, self._reshaped(node))
            case "slice" | "transpose" | "patches":
                return self._view(node)
            case "stack":
                return self._stack(node)
            case "pad":
                return self._pad(node)
            case "matmul":
                return self._matmul(node)
            case "sum":
                return self._sum(node)
            case "bitslice" | "bitunslice":
                return self._planes(node)
            case "cast":
                return self._cast(node)
            case op if op in ELEMENTWISE:
                return self._elementwise(node)
        raise InvalidTape(repr(node), "the kernel has no such operation")

    def _in_place_or_home(self, node: Node, view: View) -> View:
        """A view of another value, copied into the frame where one waits for it."""
        home = self.homes.get(node)
        if home is None:
            return view
        self._copy(node.dtype, home, view)
        return home

    def _reshaped(self, node: Node) -> View:
        source = node.inputs[0]
        view = self._source(source)
        return (view if view.is_uniform else self._dense(source)).with_dims(node.shape)

    def _elementwise(self, node: Node) -> View:
        op, dtypes = node.op, [source.dtype for source in node.inputs]
        operands = [self._source(source) for source in node.inputs]
        if op == "select":
            # The kernel has the condition last.
            wanted: list[Dtype] = ["b1", node.dtype, node.dtype]
            operands = [*operands[1:], operands[0]]
        else:
            wanted = [node.dtype] * len(operands)
        if dtypes != wanted:
            raise InvalidTape(repr(node), f"operands of types {dtypes}")
        if op == "not":
            op, operands = "xor", [*operands, self._constant(node.dtype, ALL_ONES[node.dtype])]
        if node.dtype == "b1":
            op = ON_BITS.get(op, op)
            if op not in ("and", "or", "xor", "select"):
                raise InvalidTape(repr(node), "not an operation on bits")
        if op == "shr" and node.dtype != "i8":
            raise InvalidTape(repr(node), "words alone have a logical shift")
        to = self._new(node)
        self._record(op, node.dtype, node.shape, to, *operands)
        return to

    def _cast(self, node: Node) -> View:
        source = node.inputs[0]
        if source.shape != node.shape:
            raise InvalidTape(repr(node), "a cast to another shape")
        if source.dtype == node.dtype:
            return self._in_place_or_home(node, self._source(source))
        to = self._new(node)
        kind = Affine(KINDS[source.dtype])
        self._record("cast", node.dtype, node.shape, to, self._source(source), extra=kind)
        return to

    def _view(self, node: Node) -> View:
        make = {"slice": _slice, "transpose": _transpose, "patches": _patches}[node.op]
        view = make(node, self._source(node.inputs[0]))
        if product(view.dims) != node.size:
            raise InvalidTape(repr(node), f"a view of {product(view.dims)} elements")
        if node in self.homes or (not view.is_dense and not self._walkable(node, view)):
            to = self._new(node)
            self._copy(node.dtype, View.dense(to.block, to.offset, view.dims), view)
            return to
        return view if node.op != "patches" else view.with_dims(node.shape)

    def _walkable(self, node: Node, view: View) -> bool:
        """Whether every reader can walk the view as it is, with neighbours along its last axis."""
        if view.dims != node.shape or self.life is Life.EPOCH:
            return False
        last = next((s for d, s in zip(reversed(view.dims), reversed(view.steps), strict=True) if d != ONE), ONE)
        readers = self.readers.get(node, [])
        return last == ONE and bool(readers) and all(r.op in WALKS_ANY_VIEW for r in readers)

    def _stack(self, node: Node) -> View:
        to = self._new(node)
        axis = node.attrs["axis"] % len(node.shape)
        dims, steps = (_without(node.shape, axis), _without(to.steps, axis))
        if node.shape[axis] != Affine(len(node.inputs)):
            raise InvalidTape(repr(node), f"{len(node.inputs)} values")
        for number, source in enumerate(node.inputs):
            if source.shape != dims or source.dtype != node.dtype:
                raise InvalidTape(repr(node), "values that differ in shape or type")
            offset = to.offset + to.steps[axis] * number * ITEM_BYTES[node.dtype]
            self._copy(node.dtype, View(to.block, offset, dims, steps), self._source(source))
        return to

    def _pad(self, node: Node) -> View:
        source, before = node.inputs[0], node.attrs["before"]
        wanted = tuple(d + b + a for d, b, a in zip(source.shape, before, node.attrs["after"], strict=True))
        if wanted != node.shape or min([*before, *node.attrs["after"]], default=0) < 0:
            raise InvalidTape(repr(node), "padding that does not give this shape")
        to = self._new(node)
        self._copy(node.dtype, to, self._constant(node.dtype, 0))
        start = sum((step * count for step, count in zip(to.steps, before, strict=True)), ZERO)
        inside = View(to.block, to.offset + start * ITEM_BYTES[node.dtype], source.shape, to.steps)
        self._copy(node.dtype, inside, self._source(source))
        return to

    def _sum(self, node: Node) -> View:
        source, to = node.inputs[0], self._new(node)
        if node.dtype != "i8" or source.dtype not in ("i8", "b1"):
            raise InvalidTape(repr(node), "words and bits alone have a sum")
        axes = {axis % len(source.shape) for axis in node.attrs["axes"]}
        kept = tuple(ONE if axis in axes else dim for axis, dim in enumerate(source.shape))
        view = self._source(source)
        if source.dtype == "b1":
            words = View.dense(self._block(source.size * ITEM_BYTES["i8"], self.life), ZERO, source.shape)
            self._record("cast", "i8", source.shape, words, view, extra=Affine(KINDS["b1"]))
            view = words
        self._copy("i8", to, self._constant("i8", 0))
        self._record("sum", "i8", source.shape, to.with_dims(kept), view)
        return to

    def _matmul(self, node: Node) -> View:
        left, right = node.inputs
        if {node.dtype, left.dtype, right.dtype} != {"i8"}:
            raise InvalidTape(repr(node), "words alone have a product of matrices")
        a, b, to = self._dense(left), self._dense(right), self._new(node)
        a = a.with_dims((ONE, *a.dims)) if len(a.dims) == 1 else a
        b = b.with_dims((*b.dims, ONE)) if len(b.dims) == 1 else b
        (m, depth), (depth_b, n) = a.dims[-2:], b.dims[-2:]
        if depth != depth_b:
            raise InvalidTape(repr(node), f"{depth} columns times {depth_b} rows")
        if product(b.dims[:-2]) == ONE:
            # One matrix for the whole batch: the rows of all matrices on the left are rows of one.
            rows = product(a.dims[:-1])
            a, b, to_dims = a.with_dims((rows, depth)), b.with_dims((depth, n)), (rows, n)
            m = rows
        else:
            to_dims = (*_broadcast_dims(a.dims[:-2], b.dims[:-2]), m, n)
        dst = to.with_dims(to_dims)
        batch = to_dims[:-2]
        walk = (*batch, m, depth, n)
        a, b = a.broadcast((*batch, m, depth)), b.broadcast((*batch, depth, n))
        self._record(
            "matmul",
            "i8",
            walk,
            View(dst.block, dst.offset, walk, (*dst.steps[:-1], ZERO, dst.steps[-1])),
            View(a.block, a.offset, walk, (*a.steps, ZERO)),
            View(b.block, b.offset, walk, (*b.steps[:-2], ZERO, *b.steps[-2:])),
            keep=3,
        )
        return to

    def _planes(self, node: Node) -> View:
        source = node.inputs[0]
        words, planes = (source, node) if node.op == "bitslice" else (node, source)
        rows, bits = words.shape[0], product(words.shape[1:])
        count = Affine(64 if node.op == "bitslice" else 1)
        types: tuple[Dtype, Dtype] = ("i8", "u1") if node.op == "bitslice" else ("u1", "b1")
        wanted = (count, rows, affine(-(-bits.fixed // 8)))
        if (source.dtype, node.dtype) != types or planes.shape != wanted or bits.per_row:
            raise InvalidTape(repr(node), "not the planes of these words")
        view, to = self._dense(source), self._new(node)
        bytes_ = planes.shape[2]
        dims, extra = ((rows, bytes_), bits) if node.op == "bitslice" else ((rows, bits), bytes_)
        operands = [View(v.block, v.offset, dims, (ZERO, ZERO)) for v in (to, view)]
        self._record(node.op, node.dtype, dims, *operands, extra=extra, keep=2)
        return to


def _item(dtype: Dtype, value: int) -> bytes:
    return np.array(value, NUMPY[dtype]).tobytes()


def _without(dims: Shape, axis: int) -> Shape:
    return dims[:axis] + dims[axis + 1 :]


def _broadcast_dims(left: Shape, right: Shape) -> Shape:
    length = max(len(left), len(right))
    left, right = ((ONE,) * (length - len(dims)) + dims for dims in (left, right))
    return tuple(r if d == ONE else d for d, r in zip(left, right, strict=True))


def _transpose(node: Node, view: View) -> View:
    perm = node.attrs["perm"]
    if sorted(perm) != list(range(len(view.dims))):
        raise ValueError(f"{perm} is not an order of {len(view.dims)} axes")
    dims, steps = (tuple(old[axis] for axis in perm) for old in (view.dims, view.steps))
    return View(view.block, view.offset, dims, steps)


def _slice(node: Node, view: View) -> View:
    attrs = node.attrs
    offset, dims, steps = ZERO, [], []
    for axis, (start, stop, by) in enumerate(zip(attrs["start"], attrs["stop"], attrs["step"], strict=True)):
        dim, step = view.dims[axis], view.steps[axis]
        first, count = _indices(dim, start, stop, by)
        offset += step * first
        if axis not in attrs["drop"]:
            dims.append(count)
            steps.append(step * by)
    return View(view.block, view.offset + offset * ITEM_BYTES[node.dtype], tuple(dims), tuple(steps))


def _indices(dim: Affine, start: int, stop: int | None, step: int) -> tuple[Affine, Affine]:
    """First index and number of indices of a slice of an axis; exact for every number of rows, or ValueError."""
    if not dim.per_row:
        indices = range(*slice(start, stop, step).indices(dim.fixed))
        return Affine(indices.start), Affine(len(indices))
    if step == 1 and stop is None and 0 <= start <= dim.fixed + dim.per_row:
        return Affine(start), dim - start
    raise ValueError(f"the slice {start}:{stop}:{step} of {dim} elements")


def _patches(node: Node, view: View) -> View:
    (kernel_h, kernel_w), (by_h, by_w) = node.attrs["kernel"], node.attrs["strides"]
    rows, height, width, channels = view.dims
    if height.per_row or width.per_row:
        raise ValueError("images whose size depends on the rows")
    out_h, out_w = (height.fixed - kernel_h) // by_h + 1, (width.fixed - kernel_w) // by_w + 1
    row, line, pixel, channel = view.steps
    dims = (rows, *map(Affine, (out_h, out_w, kernel_h, kernel_w)), channels)
    return View(view.block, view.offset, dims, (row, line * by_h, pixel * by_w, line, pixel, channel))
