"""The prover's power: the same program with one mask spoiled, for every mask.

A mask is removed (0 in its place), made public (every party holds its key) or used twice (the next mask of the same
key, shape and type takes its value). If the program is still proved, the mask must be needless, and then the program
without it is proved too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from triveni.mpc.program import PARTIES, Draw, Node, Program, rewrite
from triveni.mpc.prove import Atom, prove, require_proof
from triveni.mpc.prove.atoms import Occurrences, leading_slice
from triveni.mpc.schedule import Schedule


@dataclass(frozen=True)
class Mutation:
    """What became of the proof when `atom` was spoiled: True, the prover noticed.

    `reused` is None where the key has no other mask of the shape; `next` is the mask that took its value.
    `sent_to_all` says that every party that cannot make the mask is sent it as it is (those of the answer are: they
    hide it from the client, not from the workers), so that it was public among the parties before.
    """

    atom: Atom
    removed: bool
    public: bool
    reused: bool | None
    next: Atom | None
    sent_to_all: bool


def mutations(program: Program) -> list[Mutation]:
    """One line for every mask of a program, which must be proved as it is."""
    require_proof(program)
    nodes = _nodes(program)
    rows = []
    for atom in nodes:
        other = _next(atom, nodes)
        rows.append(
            Mutation(
                atom,
                removed=not prove(without(program, atom)).holds,
                public=not prove(public(program, atom)).holds,
                reused=None if other is None else not prove(reused(program, atom, other)).holds,
                next=other,
                sent_to_all=_sent_to_all(program, atom),
            )
        )
    return rows


def unnoticed(rows: list[Mutation]) -> Iterator[str]:
    """Mutations that the prover accepts and that needless masks do not explain."""
    needless = {row.atom for row in rows if not row.removed}
    for row in rows:
        if not row.public and not row.sent_to_all and row.atom not in needless:
            yield f"{row.atom} made public"
        if row.reused is False and not {row.atom, row.next} & needless:
            yield f"{row.atom} used as {row.next} too"


def without(program: Program, atom: Atom) -> Program:
    """The program with 0 in place of a mask."""

    def change(node: Node) -> Node | None:
        return Node("const", (), {"value": 0}, node.shape, node.dtype, None) if _is(node, atom) else None

    return rewrite(program, change)


def public(program: Program, atom: Atom) -> Program:
    """The program in which every party could make a mask."""
    free = 1 + max(node.draw.index for node in program.nodes if node.draw)
    draw = Draw((0, 1, 2), free)
    made: dict[int | None, Node] = {}

    def change(node: Node) -> Node | None:
        if not _is(node, atom):
            return None
        return made.setdefault(node.party, Node("draw", (), {}, node.shape, node.dtype, node.party, draw))

    return rewrite(program, change)


def reused(program: Program, atom: Atom, other: Atom) -> Program:
    """The program in which the mask `other` has the value of `atom`."""
    whole = next(node for node in program.nodes if node.draw == atom.draw)
    part = atom.part
    made: dict[int | None, Node] = {}

    def source(party: int | None) -> Node:
        return made.setdefault(party, replace(whole, party=party))

    def change(node: Node) -> Node | None:
        if node.draw == atom.draw:
            return source(node.party)
        if not _is(node, other):
            return None
        if part is None:
            return source(node.party)
        rest = len(whole.shape) - 1
        attrs = {
            "start": [part] + [0] * rest,
            "stop": [part + 1] + [None] * rest,
            "step": [1] * (rest + 1),
            "drop": [0],
        }
        return Node("slice", (source(node.party),), attrs, node.shape, node.dtype, node.party)

    return rewrite(program, change)


def _nodes(program: Program) -> dict[Atom, Node]:
    """Every mask, and a node that has its shape and type, in the order of keys and numbers."""
    found = Occurrences(program.nodes)
    nodes = {atom: node for node in program.nodes if (atom := found.atom(node)) is not None}
    order = sorted(nodes, key=lambda atom: (atom.draw.holders, atom.draw.index, atom.part or 0))
    return {atom: nodes[atom] for atom in order}


def _next(atom: Atom, nodes: dict[Atom, Node]) -> Atom | None:
    mine = nodes[atom]
    later = list(nodes)[list(nodes).index(atom) + 1 :]
    for other in later:
        same_key = other.draw.holders == atom.draw.holders
        if same_key and (nodes[other].shape, nodes[other].dtype) == (mine.shape, mine.dtype):
            return other
    return None


def _sent_to_all(program: Program, atom: Atom) -> bool:
    receivers = {m.receiver for m in Schedule(program).messages if _is(m.node, atom)}
    return receivers | set(atom.draw.holders) == set(PARTIES)


def _is(node: Node, atom: Atom) -> bool:
    if atom.part is None:
        return node.draw == atom.draw
    return leading_slice(node) == atom.part and node.inputs[0].draw == atom.draw
