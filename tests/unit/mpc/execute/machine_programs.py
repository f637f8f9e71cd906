"""Programs built by hand for the tests of the engine, and a strategy of random ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from triveni.mpc.affine import ROWS, Affine, affine, product
from triveni.mpc.program import Draw, Dtype, Input, Node, Program, Shape

Dims = Sequence[Affine | int]


def shaped(dims: Dims) -> Shape:
    return tuple(affine(dim) for dim in dims)


def const(value: int, dtype: Dtype = "i8", dims: Dims = ()) -> Node:
    return Node("const", (), {"value": value}, shaped(dims), dtype, None)


def given(party: int, name: str, component: int, dims: Dims) -> Node:
    return Node("input", (), {}, shaped(dims), "i8", party, None, Input(name, component))


def drawn(party: int, holders: tuple[int, ...], index: int, dims: Dims, dtype: Dtype = "i8") -> Node:
    return Node("draw", (), {}, shaped(dims), dtype, party, Draw(tuple(sorted(holders)), index))


def op(
    name: str, party: int, inputs: Sequence[Node], dims: Dims | None = None, dtype: Dtype | None = None, **attrs: Any
) -> Node:
    """An operation; shape and type of its first input if not given."""
    shape = inputs[0].shape if dims is None else shaped(dims)
    return Node(name, tuple(inputs), attrs, shape, dtype or inputs[0].dtype, party)


def program(
    outputs: Sequence[Sequence[Node]], input_shape: Sequence[int], output_shape: Sequence[int], **weights: Sequence[int]
) -> Program:
    pairs = tuple((first, second) for first, second in outputs)
    shapes = {name: tuple(shape) for name, shape in weights.items()}
    return Program("ABY3", "arch", tuple(input_shape), tuple(output_shape), shapes, pairs)


def product_program() -> Program:
    """x @ w for replicated secrets, x (rows, 4) and w (4, 3), with a fresh sharing of zero (ABY3, section 3.2.1)."""
    dims = (ROWS, 3)
    parts = []
    for p in range(3):
        x = [given(p, "x", (p + j) % 3, (ROWS, 4)) for j in (0, 1)]
        w = [given(p, "w", (p + j) % 3, (4, 3)) for j in (0, 1)]
        both = op("add", p, [w[0], w[1]])
        local = op("add", p, [op("matmul", p, [x[0], both], dims), op("matmul", p, [x[1], w[0]], dims)])
        zero = op("sub", p, [drawn(p, (p, (p + 1) % 3), 0, dims), drawn(p, (p, (p + 2) % 3), 0, dims)])
        parts.append(op("add", p, [local, zero]))
    return program([(parts[p], parts[(p + 1) % 3]) for p in range(3)], (4,), (3,), w=(4, 3))


def bits_program() -> Program:
    """Bit planes, bits and words on their way around the ring: masked, sent, unmasked, chosen by."""
    count = 10
    masked, masked_bits = [], []
    for p in range(3):
        nxt = (p + 1) % 3
        planes = op("bitslice", p, [given(p, "x", p, (ROWS, count))], (64, ROWS, 2), "u1")
        masked.append(op("xor", p, [planes, drawn(p, (p, nxt), 0, (64, ROWS, 2), "u1")]))
        bits = op("cast", p, [given(p, "x", nxt, (ROWS, count))], dtype="b1")
        masked_bits.append(op("xor", p, [bits, drawn(p, (p, nxt), 1, (ROWS, count), "b1")]))
    kept = []
    for p in range(3):
        before = (p + 2) % 3
        planes = op("xor", p, [masked[before], drawn(p, (before, p), 0, (64, ROWS, 2), "u1")])
        odd = op("slice", p, [planes], (32, ROWS, 2), start=[1, 0, 0], stop=[None] * 3, step=[2, 1, 1], drop=[])
        even = op("slice", p, [planes], (32, ROWS, 2), start=[0, 0, 0], stop=[None] * 3, step=[2, 1, 1], drop=[])
        both = op("and", p, [odd, even])
        top = op("slice", p, [both], (1, ROWS, 2), start=[31, 0, 0], stop=[32, None, None], step=[1] * 3, drop=[])
        choice = op("bitunslice", p, [top], (ROWS, count), "b1")
        bit = op("xor", p, [masked_bits[before], drawn(p, (before, p), 1, (ROWS, count), "b1")])
        choice = op("or", p, [op("not", p, [choice]), bit])
        x = [given(p, "x", (p + j) % 3, (ROWS, count)) for j in (0, 1)]
        chosen = op("select", p, [choice, x[0], op("sar", p, [x[1], const(13)])], dtype="i8")
        kept.append(op("add", p, [chosen, op("cast", p, [bit], dtype="i8")]))
    return program([(kept[p], kept[(p + 1) % 3]) for p in range(3)], (count,), (count,))


def two_rounds_program() -> Program:
    """A transfer by pads (as in an oblivious transfer with a helper): two words masked by the sender, one pad by the
    helper, chosen by bits that receiver and helper both hold; the pads are sent ahead of the request."""
    dims = (ROWS, 5)
    received = []
    for sender in range(3):
        receiver, helper = (sender + 1) % 3, (sender + 2) % 3
        words = [given(sender, "x", (sender + j) % 3, dims) for j in (0, 1)]
        pads = [drawn(sender, (sender, helper), 2 * sender + j, dims) for j in (0, 1)]
        pair = op(
            "stack", sender, [op("xor", sender, [w, m]) for w, m in zip(words, pads, strict=True)], (2, *dims), axis=0
        )
        bit = [drawn(p, (receiver, helper), 10 + sender, dims, "b1") for p in (receiver, helper)]
        pads = [drawn(helper, (sender, helper), 2 * sender + j, dims) for j in (0, 1)]
        pad = op("select", helper, [bit[1], *pads], dtype="i8")
        half = [
            op("slice", receiver, [pair], dims, start=[j, 0, 0], stop=[j + 1, None, None], step=[1] * 3, drop=[0])
            for j in (0, 1)
        ]
        received.append(op("xor", receiver, [op("select", receiver, [bit[0], *half], dtype="i8"), pad]))
    # Party p holds received[p-1]; it is sent on to party p-1.
    return program([(received[(p + 2) % 3], received[p]) for p in range(3)], (5,), (5,))


# --- random programs ----------------------------------------------------------------------------------------------

BITWISE = ("and", "or", "xor")
WORD_OPS = ("add", "sub", "mul", "shl", "shr", "sar", *BITWISE)
BYTE_OPS = ("add", "sub", "mul", "shl", "sar", *BITWISE)

MAX_ELEMENTS = 2000


class _Random:
    """Grows a program node by node; every node may be computed by any party that may know its inputs."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.nodes: list[Node] = []
        self.setup: set[Node] = set()
        for p in range(3):
            for c in (p, (p + 1) % 3):
                self.nodes.append(given(p, "x", c, (ROWS, 3, 4, 2)))
                weights = [given(p, "w", c, (4, 2)), given(p, "v", c, (2, 4))]
                self.nodes.extend(weights)
                self.setup.update(weights)
            for index, dtype in enumerate(("i8", "u1", "b1")):
                self.nodes.append(drawn(p, (p,), index, (ROWS, 3, 4, 2), dtype))
                self.nodes.append(drawn(p, (p, (p + 1) % 3), index, (ROWS, 3, 4, 2), dtype))

    def one(self, items: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(items)))

    def grow(self) -> None:
        first = self.one(self.nodes[-6:] if self.draw(st.booleans()) else self.nodes)
        makers = [self.binary, self.unary, self.cut, self.turn, self.reshape, self.stack, self.pad, self.sum]
        makers += [self.matmul, self.select, self.patches, self.planes, self.bits]
        made = self.one(makers)(first)
        if made is None or not 0 < product(made.shape).at(3) <= MAX_ELEMENTS:
            return
        self.nodes.append(made)
        if all(i in self.setup or i.op == "const" for i in made.inputs):
            self.setup.add(made)

    def party(self, *inputs: Node) -> int:
        """A party that may know the inputs: what needs weights only is never sent."""
        fixed = {node.party for node in inputs if node in self.setup}
        return fixed.pop() if fixed else self.one(range(3))

    def partner(self, node: Node) -> Node:
        """Another value that broadcasts to this one, known where this one is if neither may be sent."""
        choices = [n for n in self.nodes if n.dtype == node.dtype and n.shape in (node.shape, node.shape[1:])]
        choices = [n for n in choices if not (n in self.setup and node in self.setup) or n.party == node.party]
        return self.one([*choices, const(self.draw(st.integers(0, 70)) if node.dtype == "i8" else 1, node.dtype)])

    def binary(self, node: Node) -> Node:
        other = self.partner(node)
        names = {"i8": WORD_OPS, "u1": BYTE_OPS, "b1": BITWISE}[node.dtype]
        inputs = [node, other]
        name = self.one(names)
        if name not in ("shl", "shr", "sar") and self.draw(st.booleans()):
            inputs.reverse()
        return op(name, self.party(node, other), inputs, node.shape, node.dtype)

    def unary(self, node: Node) -> Node:
        party = self.party(node)
        if self.draw(st.booleans()):
            return op("not", party, [node])
        return op("cast", party, [node], dtype=self.one(["i8", "u1", "b1"]))

    def cut(self, node: Node) -> Node | None:
        if not node.shape:
            return None
        start, stop, step, drop, dims = [], [], [], [], []
        for axis, dim in enumerate(node.shape):
            if dim.per_row:
                start.append(0), stop.append(None), step.append(1), dims.append(dim)
                continue
            low = self.draw(st.integers(0, dim.fixed - 1))
            if self.draw(st.integers(0, 3)) == 0:
                drop.append(axis)
                start.append(low), stop.append(low + 1), step.append(1)
                continue
            by = self.draw(st.integers(1, 2))
            end = self.one([None, self.draw(st.integers(low + 1, dim.fixed))])
            start.append(low), stop.append(end), step.append(by)
            dims.append(len(range(dim.fixed)[low:end:by]))
        return op("slice", self.party(node), [node], dims, start=start, stop=stop, step=step, drop=drop)

    def turn(self, node: Node) -> Node:
        perm = self.draw(st.permutations(range(len(node.shape))))
        return op("transpose", self.party(node), [node], [node.shape[axis] for axis in perm], perm=list(perm))

    def reshape(self, node: Node) -> Node:
        axis = self.draw(st.integers(0, max(len(node.shape) - 2, 0)))
        dims = node.shape
        if len(dims) >= 2 and self.draw(st.booleans()):
            dims = (*dims[:axis], dims[axis] * dims[axis + 1], *dims[axis + 2 :])
        else:
            dims = (*dims[:axis], Affine(1), *dims[axis:])
        return op("reshape", self.party(node), [node], dims)

    def stack(self, node: Node) -> Node:
        same = [n for n in self.nodes if (n.shape, n.dtype) == (node.shape, node.dtype)]
        same = [n for n in same if n.party == node.party or n not in self.setup]
        others = [self.one(same) for _ in range(self.draw(st.integers(0, 2)))]
        axis = self.draw(st.integers(0, len(node.shape)))
        dims = (*node.shape[:axis], len(others) + 1, *node.shape[axis:])
        return op("stack", self.party(node, *others), [node, *others], dims, axis=axis)

    def pad(self, node: Node) -> Node | None:
        if not node.shape:
            return None
        before = [0 if d.per_row else self.draw(st.integers(0, 2)) for d in node.shape]
        after = [0 if d.per_row else self.draw(st.integers(0, 2)) for d in node.shape]
        dims = [d + b + a for d, b, a in zip(node.shape, before, after, strict=True)]
        return op("pad", self.party(node), [node], dims, before=before, after=after)

    def sum(self, node: Node) -> Node | None:
        if node.dtype == "u1" or not node.shape:
            return None
        axes = sorted(self.draw(st.sets(st.integers(0, len(node.shape) - 1), min_size=1)))
        keep = self.draw(st.booleans())
        dims = [Affine(1) if a in axes else d for a, d in enumerate(node.shape) if keep or a not in axes]
        return op("sum", self.party(node), [node], dims, "i8", axes=axes, keep=keep)

    def matmul(self, node: Node) -> Node | None:
        if node.dtype != "i8" or len(node.shape) < 2:
            return None
        rights = [n for n in self.nodes if n.dtype == "i8" and len(n.shape) >= 2]
        rights = [n for n in rights if n.shape[-2] == node.shape[-1] and not any(d.per_row for d in n.shape[-2:])]
        if not rights:
            return None
        right = self.one(rights)
        batch, other = node.shape[:-2], right.shape[:-2]
        if other not in ((), batch) or (right in self.setup and node in self.setup and right.party != node.party):
            return None
        return op("matmul", self.party(node, right), [node, right], (*node.shape[:-1], right.shape[-1]))

    def select(self, node: Node) -> Node | None:
        bits = [n for n in self.nodes if n.dtype == "b1" and n.shape == node.shape and n not in self.setup]
        if not bits or node in self.setup:
            return None
        other = self.partner(node)
        bit = self.one(bits)
        return op("select", self.party(bit, node, other), [bit, node, other], node.shape, node.dtype)

    def patches(self, node: Node) -> Node | None:
        if len(node.shape) != 4 or any(d.per_row for d in node.shape[1:]):
            return None
        _, height, width, channels = (d.fixed for d in node.shape)
        kernel = [self.draw(st.integers(1, min(3, height))), self.draw(st.integers(1, min(3, width)))]
        by = [self.draw(st.integers(1, 2)), self.draw(st.integers(1, 2))]
        out = [(size - k) // s + 1 for size, k, s in zip((height, width), kernel, by, strict=True)]
        dims = (node.shape[0], *out, kernel[0] * kernel[1] * channels)
        return op("patches", self.party(node), [node], dims, kernel=kernel, strides=by)

    def planes(self, node: Node) -> Node | None:
        if node.dtype != "i8" or len(node.shape) < 2 or any(d.per_row for d in node.shape[1:]):
            return None
        count = -(-product(node.shape[1:]).fixed // 8)
        return op("bitslice", self.party(node), [node], (64, node.shape[0], count), "u1")

    def bits(self, node: Node) -> Node | None:
        if node.dtype != "u1" or len(node.shape) != 3 or node.shape[0] != Affine(1) or node.shape[2].per_row:
            return None
        count = self.draw(st.integers(8 * node.shape[2].fixed - 7, 8 * node.shape[2].fixed))
        return op("bitunslice", self.party(node), [node], (node.shape[1], count), "b1")


class RandomProgram:
    """A program that hypothesis made, with a short text: that of a node or a program repeats all that it is made of."""

    def __init__(self, made: Program) -> None:
        self.program = made

    def __repr__(self) -> str:
        number = {node: n for n, node in enumerate(self.program.nodes)}
        return "\n".join(
            f"{n}: {node.op} {node.dtype} {list(map(str, node.shape))} at {node.party}, of"
            f" {[number[i] for i in node.inputs]} {dict(node.attrs) or ''}"
            for node, n in number.items()
        )


@st.composite
def random_programs(draw: st.DrawFn) -> RandomProgram:
    """Programs of up to 30 operations of all kinds; a party's answer depends on all that it computes last."""
    random = _Random(draw)
    for _ in range(draw(st.integers(5, 30))):
        random.grow()
    used = {source for node in random.nodes for source in node.inputs}
    ends = [n for n in random.nodes if n.inputs and n not in used]
    outputs = []
    for p in range(3):
        total = const(0)
        for node in ends:
            if node.party == p:
                words = node if node.dtype == "i8" else op("cast", p, [node], dtype="i8")
                axes = list(range(len(node.shape)))
                small = op("sum", p, [words], (), "i8", axes=axes, keep=False) if axes else words
                total = op("add", p, [op("mul", p, [total, const(3)], ()), small], ())
        components = [given(p, "x", c, (ROWS, 3, 4, 2)) for c in (p, (p + 1) % 3)]
        outputs.append([op("add", p, [x, total]) for x in components])
    return RandomProgram(program(outputs, (3, 4, 2), (3, 4, 2), v=(2, 4), w=(4, 2)))
