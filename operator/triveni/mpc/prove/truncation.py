"""Truncation's own rule, in SecureNN: what is shifted on each share is a fresh sharing of the value.

How shifting both shares rounds depends on the shares. Were they those that server 2 dealt the correlations of, it would
know the rounding from answers, and in the end the weights. With a draw of servers 0 and 1 in both, rounding is a coin
that server 2 cannot know (lemma 8 in docs/prover.md). The exact form, with rho one draw, of the value's shape and used
for nothing else:

    server 0:  sar(add(z_0, rho), bits)        server 1:  sub(0, sar(sub(0, sub(z_1, rho)), bits))

No other shift of words is there at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from triveni.mpc.program import Draw, Node, Program
from triveni.mpc.prove.atoms import Occurrences
from triveni.mpc.prove.proof import Structure, Violation

SHIFTS = frozenset({"sar", "shr", "shl"})

SERVERS = (0, 1)


def check_truncations(program: Program, found: Occurrences) -> Iterator[Violation]:
    """Every shift that is not of the form above."""
    if program.protocol != "SecureNN":
        return
    read: dict[Draw, list[Node]] = {}
    for node in program.nodes:
        for source in node.inputs:
            if source.draw is not None:
                read.setdefault(source.draw, []).append(node)
    pairs: dict[Draw, dict[int | None, Node]] = {}
    for number, node in enumerate(program.nodes):
        if node.op not in SHIFTS:
            continue
        shared = _shared_afresh(node, found)
        rho = shared.inputs[1].draw if shared is not None else None
        if rho is None or rho.holders != SERVERS or rho.epoch:
            yield _violation(f"node {number} {node!r} shifts what is not shared afresh by servers 0 and 1 before")
        elif len(read[rho]) != len(SERVERS):
            yield _violation(f"node {number} {node!r} shifts what is shared afresh by a draw that is used elsewhere")
        else:
            pairs.setdefault(rho, {})[node.party] = node
    for rho, pair in pairs.items():
        if set(pair) != set(SERVERS):
            yield _violation(f"{rho} does not share both servers' parts of one value afresh")


def _violation(reason: str) -> Violation:
    return Violation(Structure.TRUNCATION, reason)


def _shared_afresh(node: Node, found: Occurrences) -> Node | None:
    """add(z, rho), at server 0, or sub(z, rho), at server 1, of which `node` is the shift; None if it is not."""
    if node.op != "sar" or node.inputs[1].op != "const" or node.party not in SERVERS:
        return None
    shifted = node.inputs[0]
    if node.party == 1:
        if shifted.op != "sub" or shifted.inputs[0].op != "const" or shifted.inputs[0].attrs["value"] != 0:
            return None
        shifted = shifted.inputs[1]
    if shifted.op != ("add", "sub")[node.party] or shifted.party != node.party:
        return None
    value, rho = shifted.inputs
    same = (value.shape, value.dtype) == (rho.shape, rho.dtype) == (node.shape, node.dtype)
    return shifted if same and found.bit(rho) and not found.bit(rho) & found.cone[value] else None
