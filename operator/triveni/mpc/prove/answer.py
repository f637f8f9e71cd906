"""The answer's own rule: its components are uniform subject to their sum.

So who reveals them learns the answer, and nothing about how it came about. The exact form, with y_c for component c
before it is masked, and draws m and n that occur in no y_c and hence nowhere else (lemma 5 in docs/prover.md):

    ABY3:      component 0 = add(y_0, m)    component 1 = sub(sub(y_1, m), n)    component 2 = add(y_2, n)
    SecureNN:  component 0 = add(y_0, m)    component 1 = sub(y_1, m), with m of the key of parties 0 and 1

In ABY3 both parties that hold a component must answer with one value (`values`), so that the copies tell nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from triveni.mpc.program import Draw, Node, Program
from triveni.mpc.prove.atoms import Occurrences
from triveni.mpc.prove.proof import Structure, Violation


def check_answer(program: Program, found: Occurrences, values: Mapping[Node, int]) -> Iterator[Violation]:
    """Every way in which the answer is not of the form above; `values` numbers the values of all nodes."""
    if program.protocol == "SecureNN":
        return _additive(program, found)
    return _replicated(program, found, values)


def _additive(program: Program, found: Occurrences) -> Iterator[Violation]:
    (zero,), (one,), _ = program.outputs
    m = _mask(zero)
    inner = _unmasked(one, "sub", m) if m is not None else None
    if inner is None:
        yield _violation("the two components are not a value plus a draw of its own, and a value minus the same draw")
        return
    if m is not None and m.holders != (0, 1):
        yield _violation(f"party 2, which may be a client as well, knows the mask {m}")
    yield from _used_again([zero.inputs[0], inner], found.bit(zero.inputs[1]), found)


def _replicated(program: Program, found: Occurrences, number: Mapping[Node, int]) -> Iterator[Violation]:
    (zero, one), (one_again, two), (two_again, zero_again) = program.outputs
    m, n = _mask(zero), _mask(two)
    if m is None or n is None or m == n:
        yield _violation("components 0 and 2 are not each the sum of a value and a draw of its own")
        return
    inner = [_unmasked(node, "sub", n) for node in (one, one_again)]
    bases = [
        *(_unmasked(node, "add", m) for node in (zero, zero_again)),
        *(node and _unmasked(node, "sub", m) for node in inner),
        *(_unmasked(node, "add", n) for node in (two, two_again)),
    ]
    values = [node for node in bases if node is not None]
    if len(values) < len(bases):
        yield _violation("the two holders of a component do not both mask it with the same two draws")
        return
    masks = found.bit(zero.inputs[1]) | found.bit(two.inputs[1])
    yield from _used_again(values, masks, found)
    for component in range(3):
        if number[values[2 * component]] != number[values[2 * component + 1]]:
            yield _violation(f"the two holders of component {component} do not answer with one value")


def _used_again(values: Iterable[Node], masks: int, found: Occurrences) -> Iterator[Violation]:
    for node in values:
        if found.cone[node] & masks:
            yield _violation(f"a draw that masks the answer is used a second time, in {node!r}")


def _violation(reason: str) -> Violation:
    return Violation(Structure.ANSWER, reason)


def _mask(node: Node) -> Draw | None:
    """m, if `node` is add(y, m) and m a draw of the shape of the answer, made anew for each run."""
    if node.op != "add" or node.inputs[1].shape != node.shape or node.inputs[1].dtype != node.dtype:
        return None
    mask = node.inputs[1].draw
    return None if mask is None or mask.epoch else mask


def _unmasked(node: Node, op: str, mask: Draw) -> Node | None:
    """y, if `node` is op(y, m) and m the draw `mask`, by whichever party."""
    return node.inputs[0] if node.op == op and node.inputs[1].draw == mask else None
