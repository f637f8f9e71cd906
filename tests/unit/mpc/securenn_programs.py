"""A small network in SecureNN, built by hand as the compiler builds it, and every way of leaving out what protects it.

x @ w0 + bias0, ReLU, @ v: docs/engine.md's numbered list, node by node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.unit.mpc.execute.machine_programs import Dims, const, given, op, shaped
from triveni.mpc.affine import ROWS
from triveni.mpc.comparison import COLUMNS, DRAW_WORDS, MODULUS, UNITS
from triveni.mpc.passes import merge_equal
from triveni.mpc.program import Draw, Dtype, Node, Program

BITS = 16
"""By how many bits products are shifted."""

Pair = tuple[Node, Node]


@dataclass
class Builder:
    """Builds with every protection but those named in `without`; `same` names draws that are to be one."""

    without: frozenset[str] = frozenset()
    same: frozenset[str] = frozenset()
    _numbers: dict[str, int] = field(default_factory=dict)

    def draw(self, name: str, party: int, other: int, dims: Dims, dtype: Dtype = "i8", *, epoch: bool = False) -> Node:
        """The draw of that name of two parties, at the first of them; public zeros if it is left out."""
        kind = name.split("/")[0]
        if kind in self.without:
            return op("reshape", party, [const(0, dtype, dims)], dims)
        number = self._numbers.setdefault(kind if kind in self.same else name, len(self._numbers))
        holders = (min(party, other), max(party, other))
        return Node("draw", (), {}, shaped(dims), dtype, party, Draw(holders, number, epoch))

    def product(self, name: str, x: Pair, w: str, depth: int, width: int) -> Pair:
        """x @ w, shared afresh and shifted."""
        x_dims, w_dims, dims = (ROWS, depth), (depth, width), (ROWS, width)
        a = [[self.draw(f"a/{name}/{p}", at, 2 if at != 2 else p, x_dims) for at in (p, 2)] for p in (0, 1)]
        b = [[self.draw(f"b/{w}/{p}", at, 2 if at != 2 else p, w_dims, epoch=True) for at in (p, 2)] for p in (0, 1)]
        opened_x = [op("sub", p, [x[p], a[p][0]]) for p in (0, 1)]
        opened_w = [op("sub", p, [given(p, w, p, w_dims), b[p][0]]) for p in (0, 1)]
        product = op("matmul", 2, [op("add", 2, [a[0][1], a[1][1]]), op("add", 2, [b[0][1], b[1][1]])], dims)
        ab = [self.draw(f"ab/{name}", at, 2 - at, dims) for at in (0, 2)]
        parts = [ab[0], op("sub", 2, [product, ab[1]])]
        result = []
        for p in (0, 1):
            e, f = op("add", p, opened_x), op("add", p, opened_w)
            z = op("add", p, [parts[p], op("matmul", p, [a[p][0], f], dims)])
            z = op("add", p, [z, op("matmul", p, [e, b[p][0]], dims)])
            result.append(op("add", p, [z, op("matmul", p, [e, f], dims)]) if p == 0 else z)
        return self.truncated(name, self.afresh(f"rho/{name}", (result[0], result[1]), dims))

    def afresh(self, name: str, x: Pair, dims: Dims) -> Pair:
        """The same value in new shares."""
        if name.split("/")[0] in self.without:
            return x
        rho = [self.draw(name, p, 1 - p, dims) for p in (0, 1)]
        return op("add", 0, [x[0], rho[0]]), op("sub", 1, [x[1], rho[1]])

    def truncated(self, name: str, z: Pair) -> Pair:
        """Each share shifted."""
        shifted = op("sar", 1, [op("sub", 1, [const(0), z[1]], z[1].shape), const(BITS)])
        return op("sar", 0, [z[0], const(BITS)]), op("sub", 1, [const(0), shifted], z[1].shape)

    def relu(self, name: str, x: Pair, dims: Dims) -> Pair:
        """max(x, 0)."""
        words, row = (*dims, DRAW_WORDS), (*dims, COLUMNS)
        r = [[self.draw(f"r/{name}/{p}", at, 2 if at != 2 else p, dims) for at in (p, 2)] for p in (0, 1)]
        bits = [
            op("residues", at, [self.draw(f"bits/{name}", at, 2 - at, words)], row, "u1", modulus=MODULUS)
            for at in (0, 2)
        ]
        at_2 = op("add", 2, [r[0][1], r[1][1]])
        share = [bits[0], op("deal_bits", 2, [at_2, bits[1]], row, "u1")]
        sent = [op("add", p, [x[p], r[p][0]]) for p in (0, 1)]
        opened, hidden, beta = [], [], []
        for p in (0, 1):
            opened.append(op("add", p, sent))
            beta.append(self.draw(f"beta/{name}", p, 1 - p, dims, "b1"))
            factor, shift = (self.draw(f"{kind}/{name}", p, 1 - p, words) for kind in ("factor", "shift"))
            columns = op("compare", p, [opened[p], share[p], beta[p]], row, "u1", role=p)
            factor = op("residues", p, [factor], row, "u1", modulus=UNITS)
            shift = op("residues", p, [shift], row, "u1", modulus=MODULUS)
            columns = op("blind", p, [columns, factor, shift], role=p)
            hidden.append(op("rotate", p, [columns, self.draw(f"by/{name}", p, 1 - p, dims, "u1")]))
        found = op("has_zero", 2, hidden, dims, "b1")
        t = op("xor", 2, [found, self.sign(at_2)])
        t0, q0 = ([self.draw(f"{kind}/{name}", at, 2 - at, dims) for at in (0, 2)] for kind in ("t", "q"))
        t_of = t0[0], op("sub", 2, [op("cast", 2, [t], dtype="i8"), t0[1]])
        q_of = q0[0], op("sub", 2, [op("select", 2, [t, at_2, const(0)], dtype="i8"), q0[1]])
        result = []
        for p in (0, 1):
            product = op("sub", p, [op("mul", p, [t_of[p], opened[p]]), q_of[p]])
            negative = op("xor", p, [beta[p], self.sign(opened[p])])
            result.append(op("select", p, [negative, product, op("sub", p, [x[p], product])], dtype="i8"))
        return self.afresh(f"fresh/{name}", (result[0], result[1]), dims)

    def sign(self, words: Node) -> Node:
        """Bit 31."""
        assert words.party is not None
        return op("cast", words.party, [op("and", words.party, [words, const(2**31)])], dtype="b1")


def securenn_program(
    without: Sequence[str] = (), same: Sequence[str] = (), *, sizes: tuple[int, ...] = (4, 3, 2), relus: int = 1
) -> Program:
    """A network of `relus` hidden layers; `without` and `same` as in `Builder`, `sizes` in, hidden and out."""
    build = Builder(frozenset(without), frozenset(same))
    first, hidden, last = sizes
    value: Pair = (given(0, "x", 0, (ROWS, first)), given(1, "x", 1, (ROWS, first)))
    weights: dict[str, tuple[int, ...]] = {}
    for layer in range(relus):
        w, bias, width = f"w{layer}", f"bias{layer}", first if layer == 0 else hidden
        weights |= {w: (width, hidden), bias: (hidden,)}
        y = build.product(f"product{layer}", value, w, width, hidden)
        y = op("add", 0, [y[0], given(0, bias, 0, (hidden,))]), op("add", 1, [y[1], given(1, bias, 1, (hidden,))])
        value = build.relu(f"relu{layer}", y, (ROWS, hidden))
    y = build.product("last", value, "v", hidden, last)
    answer = build.afresh("answer", y, (ROWS, last))
    weights["v"] = (hidden, last)
    program = Program("SecureNN", "arch", (first,), (last,), weights, ((answer[0],), (answer[1],), ()))
    return merge_equal(program)  # one node for a draw that is used twice


def relu_program(shape: Sequence[int] = (), without: Sequence[str] = ()) -> Program:
    """max(x, 0) alone."""
    build = Builder(frozenset(without))
    dims = (ROWS, *shape)
    x = given(0, "x", 0, dims), given(1, "x", 1, dims)
    answer = build.afresh("answer", build.relu("relu", x, dims), dims)
    return Program("SecureNN", "arch", tuple(shape), tuple(shape), {}, ((answer[0],), (answer[1],), ()))
