"""Passes: from the raw program to one that is small, and computes and sends the same.

Each pass is a function from program to program. None may move a value to another party: a new node is made only where
all the values that it reads already are. The prover sees the result, so a pass that broke this would be refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from triveni.mpc.affine import Affine
from triveni.mpc.ops import evaluate
from triveni.mpc.program import Draw, Dtype, Node, Program, Shape, rewrite

Pass = Callable[[Program], Program]


def constant(value: int, shape: Shape, dtype: Dtype) -> Node:
    """A public constant, one value throughout."""
    return Node("const", (), {"value": value}, shape, dtype, None)


def is_constant(node: Node, value: int | None = None) -> bool:
    """Whether a node is a constant (of that value)."""
    return node.op == "const" and value in (None, node.attrs["value"])


def drop_identities(program: Program) -> Program:
    """Copies are not values of their own."""
    return rewrite(program, lambda node: node.inputs[0] if node.op == "identity" else None)


def localise_draws(program: Program) -> Program:
    """A draw, or a part of one, that is sent to a party which holds its key is drawn there: the same value, unsent."""

    drawn = {(node.draw, node.party): node for node in program.nodes if node.draw}

    def at_home(source: Node, party: int | None) -> Node:
        if source.draw and party in source.draw.holders:
            return drawn.setdefault((source.draw, party), replace(source, party=party))
        if source.op == "slice" and (whole := at_home(source.inputs[0], party)).draw and whole.party == party:
            return replace(source, inputs=(whole,), party=party)
        return source

    def localised(source: Node, party: int | None) -> Node:
        return source if source.party == party else at_home(source, party)

    moved = rewrite(program, lambda node: node.with_inputs(localised(source, node.party) for source in node.inputs))
    return moved.with_outputs([localised(node, party) for node in nodes] for party, nodes in enumerate(moved.outputs))


def number_draws(program: Program) -> Program:
    """Draws of each set of holders are numbered 0, 1, 2, ... in program order: a stream for runs, one for the epoch."""
    number: dict[Draw, Draw] = {}
    count: Counter[tuple[tuple[int, ...], bool]] = Counter()
    for node in program.nodes:
        if node.draw and node.draw not in number:
            stream = node.draw.holders, node.draw.epoch
            number[node.draw] = replace(node.draw, index=count[stream])
            count[stream] += 1
    return rewrite(program, lambda node: replace(node, draw=number[node.draw]) if node.draw else None)


def merge_equal(program: Program) -> Program:
    """Common subexpressions: equal operations of one party on the same values are one node."""
    known: dict[Any, Node] = {}

    def change(node: Node) -> Node:
        key = (node.op, node.inputs, _frozen(node.attrs), node.shape, node.dtype, node.party, node.draw, node.input)
        return known.setdefault(key, node)

    return rewrite(program, change)


def fold_constants(program: Program) -> Program:
    """Operations on constants alone are computed now, where the result is one value throughout."""

    def change(node: Node) -> Node | None:
        if not node.inputs or not all(map(is_constant, node.inputs)):
            return None
        value = evaluate(node, [evaluate(source, [], 1) for source in node.inputs], 1)
        first = value.reshape(-1)[0]
        return constant(int(first), node.shape, node.dtype) if np.all(value == first) else None

    return rewrite(program, change)


def simplify(program: Program) -> Program:
    """Algebra: neutral and absorbing constants, views of views."""
    return rewrite(program, lambda node: _neutral(node) or _view(node))


_NEUTRAL_RIGHT = {"add": 0, "sub": 0, "xor": 0, "or": 0, "shl": 0, "shr": 0, "sar": 0, "mul": 1, "and": -1}
_NEUTRAL_LEFT = {"add": 0, "xor": 0, "or": 0, "mul": 1, "and": -1}


def _neutral(node: Node) -> Node | None:
    if len(node.inputs) != 2 or node.op not in _NEUTRAL_RIGHT:
        return None
    left, right = node.inputs
    if is_constant(right, _NEUTRAL_RIGHT[node.op]) and left.shape == node.shape:
        return left
    if is_constant(left, _NEUTRAL_LEFT.get(node.op)) and node.op in _NEUTRAL_LEFT and right.shape == node.shape:
        return right
    if node.op in ("and", "mul") and (is_constant(left, 0) or is_constant(right, 0)):
        return constant(0, node.shape, node.dtype)
    return None


def _view(node: Node) -> Node | None:
    source = node.inputs[0] if node.inputs else node
    match node.op:
        case "reshape" if source.shape == node.shape:
            return source
        case "reshape" if source.op == "reshape" and source.party == node.party:
            return source.inputs[0] if source.inputs[0].shape == node.shape else node.with_inputs(source.inputs)
        case "cast" if source.dtype == node.dtype:
            return source
        case "transpose" if list(node.attrs["perm"]) == sorted(node.attrs["perm"]):
            return source
        case "slice" if _takes_all(node.attrs):
            return source
    return None


def _takes_all(attrs: Mapping[str, Any]) -> bool:
    """Whether a slice takes the whole of every axis."""
    whole = set(attrs["start"]) <= {0} and set(attrs["stop"]) <= {None} and set(attrs["step"]) <= {1}
    return whole and not attrs["drop"]


def distribute(program: Program) -> Program:
    """a*c + a*d becomes a*(c+d), in a sum of three as well: fewer products for each multiplication of shares."""
    uses = _uses(program)
    products = {"add": ("matmul", "mul"), "xor": ("and",)}
    single: set[Node] = set()
    new: dict[Node, Node] = {}

    def change(node: Node) -> Node | None:
        if node.op not in products or any(source not in single for source in node.inputs):
            return None
        x, y = node.inputs
        if (one := together(node, x, y)) is not None or x.op != node.op or x.party != node.party:
            return one
        # x = u + a*c and y = a*d: u + a*(c+d)
        u, last = x.inputs
        both = together(node, last, y) if last in single and last.shape == node.shape else None
        return replace(node, inputs=(u, both)) if both is not None else None

    def together(node: Node, x: Node, y: Node) -> Node | None:
        """The one product that x + y is."""
        if x.op != y.op or x.op not in products[node.op] or x.shape != y.shape or x.party != y.party:
            return None
        pairs = ((0, 0), (1, 1)) if x.op == "matmul" else ((0, 0), (1, 1), (0, 1), (1, 0))
        for i, j in pairs:
            left, right = x.inputs[1 - i], y.inputs[1 - j]
            if x.inputs[i] is y.inputs[j] and left.shape == right.shape:
                total = replace(node, inputs=(left, right), shape=left.shape)
                factors = (x.inputs[i], total) if i == 0 else (total, x.inputs[i])
                return replace(x, inputs=factors)
        return None

    for node in program.nodes:
        moved = node.with_inputs(new[i] for i in node.inputs)
        new[node] = change(moved) or moved
        if uses[node] == 1 and node.party is not None:
            single.add(new[node])
    return program.with_outputs([new[node] for node in nodes] for nodes in program.outputs)


def _uses(program: Program) -> Counter[Node]:
    """How often each node is read, by other nodes (of any party) or as an output."""
    uses: Counter[Node] = Counter()
    for node in program.nodes:
        uses.update(node.inputs)
    for nodes in program.outputs:
        uses.update(nodes)
    return uses


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((key, _frozen(value[key])) for key in sorted(value))
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


PASSES: tuple[Pass, ...] = (
    drop_identities,
    localise_draws,
    merge_equal,
    fold_constants,
    simplify,
    distribute,
    merge_equal,
    number_draws,
)


def optimise(program: Program) -> Program:
    """All passes in their order."""
    for one in PASSES:
        program = one(program)
    return program


def multiplications(program: Program) -> Affine:
    """Ring multiplications of all parties in matrix products, for one run; the measure of `distribute`."""
    total = Affine(0)
    for node in program.nodes:
        if node.op == "matmul":
            inner = node.inputs[1].shape[0]
            total = total + node.size * inner
    return total
