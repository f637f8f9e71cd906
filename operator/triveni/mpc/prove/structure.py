"""The form that a program must have before its messages are looked at: the premises of the lemmas.

One check for each kind of node; each finding is a violation that names the node and the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from triveni.mpc.affine import ROWS, affine
from triveni.mpc.ops import OPS
from triveni.mpc.program import ITEM_BYTES, PARTIES, Draw, Input, Node, Program
from triveni.mpc.prove.proof import Structure, Violation
from triveni.mpc.sharing import HELD, components_of

_SIGNATURES: Mapping[str, tuple[int | None, frozenset[str]]] = {
    "const": (0, frozenset({"value"})),
    "draw": (0, frozenset()),
    "input": (0, frozenset()),
    "not": (1, frozenset()),
    "cast": (1, frozenset()),
    "select": (3, frozenset()),
    "reshape": (1, frozenset()),
    "transpose": (1, frozenset({"perm"})),
    "slice": (1, frozenset({"start", "stop", "step", "drop"})),
    "stack": (None, frozenset({"axis"})),
    "pad": (1, frozenset({"before", "after"})),
    "patches": (1, frozenset({"kernel", "strides"})),
    "sum": (1, frozenset({"axes", "keep"})),
    "bitslice": (1, frozenset()),
    "bitunslice": (1, frozenset()),
    "residues": (1, frozenset({"modulus"})),
    "deal_bits": (2, frozenset()),
    "compare": (3, frozenset({"role"})),
    "blind": (3, frozenset({"role"})),
    "rotate": (2, frozenset()),
    "has_zero": (2, frozenset()),
    **dict.fromkeys(("add", "sub", "mul", "and", "or", "xor", "shl", "shr", "sar", "matmul"), (2, frozenset())),
}
"""Number of inputs (None: any) and attributes of each operation. An attribute that the prover does not know could
change what the operation means: a draw that has one might not cover its type."""


def check_form(program: Program) -> Iterator[Violation]:
    """What is wrong with nodes, draws, inputs and outputs; `prove` looks at messages only if nothing is."""
    if program.protocol not in HELD:
        yield Violation(Structure.FORM, f"protocol {program.protocol!r} is unknown")
        return
    for number, node in enumerate(program.nodes):
        for structure, reason in _node(node, program):
            yield Violation(structure, f"node {number} {node!r} {reason}")
    yield from _draws_together(program)
    yield from _outputs(program)


def _node(node: Node, program: Program) -> Iterator[tuple[Structure, str]]:
    if (form := _malformed(node)) is not None:
        yield Structure.FORM, form
        return
    if node.draw is not None:
        yield from ((Structure.DRAW, reason) for reason in _draw(node, node.draw))
    if node.input is not None:
        yield from ((Structure.INPUT, reason) for reason in _input(node, node.input, program))


def _malformed(node: Node) -> str | None:
    if node.op not in OPS or node.op not in _SIGNATURES:
        return "is no known operation"
    count, attrs = _SIGNATURES[node.op]
    if set(node.attrs) != attrs or count not in (None, len(node.inputs)):
        return f"does not have the inputs and attributes of {node.op}"
    if (node.op == "draw") != (node.draw is not None) or (node.op == "input") != (node.input is not None):
        return "is not what its operation says"
    if node.dtype not in ITEM_BYTES:
        return "has no known type"
    if (node.party is None) != (node.op == "const") or node.party not in (None, *PARTIES):
        return "belongs to no party"
    if sum(dim.per_row != 0 for dim in node.shape) > 1:
        return "has a size that is not affine in the rows"
    return None


def _draw(node: Node, draw: Draw) -> Iterator[str]:
    if not draw.holders or list(draw.holders) != sorted(set(draw.holders) & set(PARTIES)) or draw.index < 0:
        yield "names no set of parties and number"
    if node.party not in draw.holders:
        yield "is made by a party that does not hold its key"
    if draw.epoch and (node.dtype != "i8" or node.size.per_row):
        yield "is made once for an epoch, but is not words whose number does not depend on the rows"


def _input(node: Node, secret: Input, program: Program) -> Iterator[str]:
    assert node.party is not None
    if secret.component not in components_of(node.party, program.protocol):
        yield f"is component {secret.component}, which party {node.party} does not hold"
    declared = program.input_shape if secret.is_request else program.weights.get(secret.name)
    if declared is None:
        yield "is no weight of the program"
        return
    shape = tuple(map(affine, declared))
    if node.shape != ((ROWS, *shape) if secret.is_request else shape) or node.dtype != "i8":
        yield "has another shape or type than the program declares"


def _draws_together(program: Program) -> Iterator[Violation]:
    """A draw is one value: one node at each party, of one shape and type."""
    first: dict[Draw, Node] = {}
    at: set[tuple[Draw, int | None]] = set()
    for number, node in enumerate(program.nodes):
        if node.draw is None:
            continue
        same = first.setdefault(node.draw, node)
        if (same.shape, same.dtype) != (node.shape, node.dtype):
            yield Violation(Structure.DRAW, f"node {number} {node!r} has another shape or type than {same!r}")
        if (node.draw, node.party) in at:
            yield Violation(Structure.DRAW, f"node {number} {node!r} is drawn twice by one party")
        at.add((node.draw, node.party))


def _outputs(program: Program) -> Iterator[Violation]:
    if "x" in program.weights:
        yield Violation(Structure.INPUT, "a weight has the name of the request, x")
    if len(program.outputs) != len(PARTIES):
        yield Violation(Structure.OUTPUT, "not every party has an answer")
        return
    shape = (ROWS, *map(affine, program.output_shape))
    for party, nodes in enumerate(program.outputs):
        held = components_of(party, program.protocol)
        if len(nodes) != len(held):
            yield Violation(Structure.OUTPUT, f"party {party} answers with {len(nodes)} components, not {len(held)}")
        for node in nodes:
            if node.party != party:
                yield Violation(Structure.OUTPUT, f"party {party} answers with {node!r}, which it does not compute")
            if node.shape != shape or node.dtype != "i8":
                yield Violation(Structure.OUTPUT, f"party {party} answers with {node!r}, of another shape or type")
