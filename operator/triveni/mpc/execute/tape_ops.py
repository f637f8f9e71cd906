"""What becomes of each operation in a tape: records, or only another view of what is there.

Reshapes cost nothing. A view whose elements are not neighbours stays a view where every reader can walk it, and is
copied otherwise. A value that has a home, its place in a frame, is computed there.
"""

from __future__ import annotations

from collections.abc import Mapping

from triveni.mpc.affine import Affine, product
from triveni.mpc.comparison import COLUMNS, DRAW_WORDS
from triveni.mpc.execute.assembler import Assembler
from triveni.mpc.execute.tape import KINDS, InvalidTape
from triveni.mpc.execute.view import ONE, ZERO, View
from triveni.mpc.ops import COMPARISON, ELEMENTWISE
from triveni.mpc.program import ITEM_BYTES, Dtype, Node, Program, Shape

WALKS_ANY_VIEW = ELEMENTWISE | {"stack", "pad", "patches", "sum", "slice", "transpose"}
"""Operations whose records can read a view with any strides."""

ALL_ONES: Mapping[Dtype, int] = {"i8": -1, "u1": 255, "b1": 1}

ON_BITS = {"add": "or", "mul": "and"}
"""What numpy's sum and product of bits are."""


class Operations:
    """Computes values of one party, one after the other.

    `views` says where each value lies, `homes` where some are to be computed.
    """

    def __init__(self, assembler: Assembler, program: Program, party: int) -> None:
        self.asm = assembler
        self.views: dict[Node, View] = {}
        self.homes: dict[Node, View] = {}
        self._answer = program.outputs[party]
        self._readers: dict[Node, list[Node]] = {}
        for node in program.nodes:
            if node.party == party:
                for source in node.inputs:
                    self._readers.setdefault(source, []).append(node)

    def source(self, node: Node) -> View:
        """Where a value lies."""
        if node.op == "const":
            return self.asm.constant(node.dtype, node.attrs["value"], node.shape)
        return self.views[node]

    def dense(self, node: Node) -> View:
        """The value one element after the other, copied if it has to be."""
        view = self.source(node)
        if view.is_dense:
            return view
        to = View.dense(self.asm.block(node.nbytes), ZERO, node.shape)
        self.asm.copy(node.dtype, to, view)
        return to

    def compute(self, node: Node) -> None:
        """Write the records of one value.

        Raises:
            InvalidTape: its inputs do not fit the operation, or the kernel has no such operation.
        """
        try:
            self.views[node] = self._compute(node)
        except InvalidTape:
            raise
        except ValueError as error:
            raise InvalidTape(repr(node), str(error)) from error

    def _new(self, node: Node) -> View:
        """Where to compute a value: at home, or in a block of its own."""
        return self.homes.get(node) or View.dense(self.asm.block(node.nbytes), ZERO, node.shape)

    def _compute(self, node: Node) -> View:
        match node.op:
            case "reshape":
                return self._in_place_or_home(node, self._reshaped(node))
            case "slice" | "transpose" | "patches":
                return self._viewed(node)
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
            case op if op in COMPARISON:
                return self._rows(node)
            case op if op in ELEMENTWISE:
                return self._elementwise(node)
        raise InvalidTape(repr(node), "the kernel has no such operation")

    def _in_place_or_home(self, node: Node, view: View) -> View:
        """A view of another value, copied into the frame where one waits for it."""
        home = self.homes.get(node)
        if home is None:
            return view
        self.asm.copy(node.dtype, home, view)
        return home

    def _reshaped(self, node: Node) -> View:
        source = node.inputs[0]
        view = self.source(source)
        return (view if view.is_uniform else self.dense(source)).with_dims(node.shape)

    def _elementwise(self, node: Node) -> View:
        op, dtypes = node.op, [source.dtype for source in node.inputs]
        operands = [self.source(source) for source in node.inputs]
        if op == "select":
            # The kernel has the condition last.
            wanted: list[Dtype] = ["b1", node.dtype, node.dtype]
            operands = [*operands[1:], operands[0]]
        else:
            wanted = [node.dtype] * len(operands)
        if dtypes != wanted:
            raise InvalidTape(repr(node), f"operands of types {dtypes}")
        if op == "not":
            op, operands = "xor", [*operands, self.asm.constant(node.dtype, ALL_ONES[node.dtype])]
        if node.dtype == "b1":
            op = ON_BITS.get(op, op)
            if op not in ("and", "or", "xor", "select"):
                raise InvalidTape(repr(node), "not an operation on bits")
        if op == "shr" and node.dtype != "i8":
            raise InvalidTape(repr(node), "words alone have a logical shift")
        to = self._new(node)
        self.asm.record(op, node.dtype, node.shape, to, *operands)
        return to

    def _cast(self, node: Node) -> View:
        source = node.inputs[0]
        if source.shape != node.shape:
            raise InvalidTape(repr(node), "a cast to another shape")
        if source.dtype == node.dtype:
            return self._in_place_or_home(node, self.source(source))
        to = self._new(node)
        kind = Affine(KINDS[source.dtype])
        self.asm.record("cast", node.dtype, node.shape, to, self.source(source), extra=kind)
        return to

    def _viewed(self, node: Node) -> View:
        make = {"slice": _slice, "transpose": _transpose, "patches": _patches}[node.op]
        view = make(node, self.source(node.inputs[0]))
        if product(view.dims) != node.size:
            raise InvalidTape(repr(node), f"a view of {product(view.dims)} elements")
        if node in self.homes or (not view.is_dense and not self._walkable(node, view)):
            to = self._new(node)
            self.asm.copy(node.dtype, View.dense(to.block, to.offset, view.dims), view)
            return to
        return view if node.op != "patches" else view.with_dims(node.shape)

    def _walkable(self, node: Node, view: View) -> bool:
        """Whether every reader can walk the view as it is, with neighbours along its last axis."""
        if view.dims != node.shape or node in self._answer:
            return False
        last = next((s for d, s in zip(reversed(view.dims), reversed(view.steps), strict=True) if d != ONE), ONE)
        readers = self._readers.get(node, [])
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
            self.asm.copy(node.dtype, View(to.block, offset, dims, steps), self.source(source))
        return to

    def _pad(self, node: Node) -> View:
        source, before = node.inputs[0], node.attrs["before"]
        wanted = tuple(d + b + a for d, b, a in zip(source.shape, before, node.attrs["after"], strict=True))
        if wanted != node.shape or min([*before, *node.attrs["after"]], default=0) < 0:
            raise InvalidTape(repr(node), "padding that does not give this shape")
        to = self._new(node)
        self.asm.copy(node.dtype, to, self.asm.constant(node.dtype, 0))
        start = sum((step * count for step, count in zip(to.steps, before, strict=True)), ZERO)
        inside = View(to.block, to.offset + start * ITEM_BYTES[node.dtype], source.shape, to.steps)
        self.asm.copy(node.dtype, inside, self.source(source))
        return to

    def _sum(self, node: Node) -> View:
        source, to = node.inputs[0], self._new(node)
        if node.dtype != "i8" or source.dtype not in ("i8", "b1"):
            raise InvalidTape(repr(node), "words and bits alone have a sum")
        axes = {axis % len(source.shape) for axis in node.attrs["axes"]}
        kept = tuple(ONE if axis in axes else dim for axis, dim in enumerate(source.shape))
        view = self.source(source)
        if source.dtype == "b1":
            words = View.dense(self.asm.block(source.size * ITEM_BYTES["i8"]), ZERO, source.shape)
            self.asm.record("cast", "i8", source.shape, words, view, extra=Affine(KINDS["b1"]))
            view = words
        self.asm.copy("i8", to, self.asm.constant("i8", 0))
        self.asm.record("sum", "i8", source.shape, to.with_dims(kept), view)
        return to

    def _matmul(self, node: Node) -> View:
        left, right = node.inputs
        if {node.dtype, left.dtype, right.dtype} != {"i8"}:
            raise InvalidTape(repr(node), "words alone have a product of matrices")
        # A vector on the left is a row, on the right a column.
        a_dims = left.shape if len(left.shape) > 1 else (ONE, *left.shape)
        b_dims = right.shape if len(right.shape) > 1 else (*right.shape, ONE)
        (m, depth), (depth_b, n) = a_dims[-2:], b_dims[-2:]
        if depth != depth_b:
            raise InvalidTape(repr(node), f"{depth} columns times {depth_b} rows")
        batch: Shape = ()
        if product(b_dims[:-2]) == ONE:
            # One matrix for the whole batch: the rows of all matrices on the left are rows of one.
            m = product(a_dims[:-1])
            a_dims, b_dims = (m, depth), (depth, n)
        else:
            batch = _broadcast_dims(a_dims[:-2], b_dims[:-2])
        if product((*batch, m, n)) != node.size:
            raise InvalidTape(repr(node), f"a product of {product((*batch, m, n))} elements")
        a, b, to = self.dense(left), self.dense(right), self._new(node)
        a = View.dense(a.block, a.offset, a_dims).broadcast((*batch, m, depth))
        b = View.dense(b.block, b.offset, b_dims).broadcast((*batch, depth, n))
        dst = View.dense(to.block, to.offset, (*batch, m, n))
        walk = (*batch, m, depth, n)
        self.asm.record(
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
        wanted = (count, rows, Affine(-(-bits.fixed // 8)))
        if (source.dtype, node.dtype) != types or planes.shape != wanted or bits.per_row:
            raise InvalidTape(repr(node), "not the planes of these words")
        view, to = self.dense(source), self._new(node)
        bytes_ = planes.shape[2]
        dims, extra = ((rows, bytes_), bits) if node.op == "bitslice" else ((rows, bits), bytes_)
        operands = [View(v.block, v.offset, dims, (ZERO, ZERO)) for v in (to, view)]
        self.asm.record(node.op, node.dtype, dims, *operands, extra=extra, keep=2)
        return to

    def _rows(self, node: Node) -> View:
        """An operation on rows of residues: one record over all rows, whose operands are dense."""
        attribute, (result, *wanted) = ROWS[node.op]
        rows = node.shape if result[1] == 1 else node.shape[:-1]
        forms = [(source.dtype, source.shape) for source in (node, *node.inputs)]
        if forms != [(dtype, rows if row == 1 else (*rows, Affine(row))) for dtype, row in (result, *wanted)]:
            raise InvalidTape(repr(node), f"values of {forms}")
        operands = [self.dense(source) for source in node.inputs]
        to = self._new(node)
        dims = (product(rows),)
        views = [View(view.block, view.offset, dims, (ZERO,)) for view in (to, *operands)]
        extra = Affine(node.attrs[attribute] if attribute else 0)
        self.asm.record(node.op, node.dtype, dims, *views, extra=extra, keep=1)
        return to


ROWS: Mapping[str, tuple[str | None, tuple[tuple[Dtype, int], ...]]] = {
    "residues": ("modulus", (("u1", COLUMNS), ("i8", DRAW_WORDS))),
    "deal_bits": (None, (("u1", COLUMNS), ("i8", 1), ("u1", COLUMNS))),
    "compare": ("role", (("u1", COLUMNS), ("i8", 1), ("u1", COLUMNS), ("b1", 1))),
    "blind": ("role", (("u1", COLUMNS), ("u1", COLUMNS), ("u1", COLUMNS), ("u1", COLUMNS))),
    "rotate": (None, (("u1", COLUMNS), ("u1", COLUMNS), ("u1", 1))),
    "has_zero": (None, (("b1", 1), ("u1", COLUMNS), ("u1", COLUMNS))),
}
"""Of each operation on rows: its attribute, then type and elements in a row of the result and of each input."""


def _without(dims: Shape, axis: int) -> Shape:
    return dims[:axis] + dims[axis + 1 :]


def _broadcast_dims(left: Shape, right: Shape) -> Shape:
    length = max(len(left), len(right))
    padded = [(ONE,) * (length - len(dims)) + dims for dims in (left, right)]
    return tuple(r if d == ONE else d for d, r in zip(*padded, strict=True))


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
