"""Which nodes are one value, whichever parties compute them.

Equal are draws of one key and index, equal components of an input, and equal operations on equal values; for xor and
select also what these laws make equal: a ^ b = b ^ a, (a ^ b) ^ c = a ^ (b ^ c), a ^ a = 0, and

    select(c, a, b) ^ select(c, d, e) = select(c, a ^ d, b ^ e)

by which both receivers of an oblivious transfer hold one value. Nodes that get two numbers may still be equal.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable

from triveni.mpc.program import Node


def value_numbers(nodes: Iterable[Node]) -> dict[Node, int]:
    """Nodes (each after its inputs) of one number have one value, for all draws and secrets."""
    table = _Table()
    for node in nodes:
        table.add(node)
    return table.number


class _Table:
    def __init__(self) -> None:
        self.number: dict[Node, int] = {}
        self._known: dict[Hashable, int] = {}
        self._terms: dict[int, frozenset[int]] = {}
        """The values whose xor a value is; absent for one that is no xor."""
        self._branches: dict[int, tuple[int, frozenset[int], frozenset[int]]] = {}
        """The choice, and both branches as terms, of a value that is a select."""

    def add(self, node: Node) -> None:
        inputs = [self.number[source] for source in node.inputs]
        if node.op == "xor" and _whole(node, node.inputs):
            value = self._xor(node, self._parts(inputs[0]) ^ self._parts(inputs[1]))
        elif node.op == "select" and _whole(node, node.inputs[1:]):
            value = self._select(node, inputs[0], self._parts(inputs[1]), self._parts(inputs[2]))
        else:
            attrs = json.dumps(dict(node.attrs), sort_keys=True) if node.attrs else ""
            value = self._intern(node, node.op, attrs, node.draw, node.input, tuple(inputs))
        self.number[node] = value

    def _intern(self, node: Node, *key: Hashable) -> int:
        return self._known.setdefault((node.shape, node.dtype, *key), len(self._known))

    def _parts(self, value: int) -> frozenset[int]:
        return self._terms.get(value, frozenset({value}))

    def _xor(self, node: Node, terms: frozenset[int]) -> int:
        """The xor of `terms`, values of the shape and type of `node`; one select at most for each choice."""
        chosen: dict[int, tuple[frozenset[int], frozenset[int]]] = {}
        result = set(terms)
        for term in terms & self._branches.keys():
            choice, one, zero = self._branches[term]
            ones, zeros = chosen.get(choice, (frozenset(), frozenset()))
            chosen[choice] = ones ^ one, zeros ^ zero
            result.remove(term)
        for choice, (one, zero) in chosen.items():
            result ^= {self._select(node, choice, one, zero)}
        if len(result) == 1:
            return result.pop()
        value = self._intern(node, "xor", frozenset(result))
        self._terms[value] = frozenset(result)
        return value

    def _select(self, node: Node, choice: int, one: frozenset[int], zero: frozenset[int]) -> int:
        value = self._intern(node, "select", choice, one, zero)
        self._branches[value] = choice, one, zero
        return value


def _whole(node: Node, sources: Iterable[Node]) -> bool:
    """Whether no source is broadcast or of another type."""
    return all(source.shape == node.shape and source.dtype == node.dtype for source in sources)
