"""Small programs for the prover's tests, built by hand: say what is sent to whom, get a whole valid program.

The answer has the form that the prover asks for. A message from party s to party r is used in the answer's component
that both hold, in the same way by both, so that it is received by r and nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from triveni.mpc.affine import ROWS, Affine, affine
from triveni.mpc.program import Draw, Dtype, Input, Node, Program, Shape

Dims = Sequence[Affine | int]

ANSWER_MASK = 1000


class Toy:
    """A program under construction; `size` is the shape of one row of the request and of the answer."""

    def __init__(self, *size: int) -> None:
        self.size = size
        self.shape: Shape = (ROWS, *map(Affine, self.size))
        self.sent: list[tuple[Node, int, int | None]] = []
        self._nodes: dict[tuple[object, int], Node] = {}

    def draw(self, party: int, holders: str, index: int, shape: Dims | None = None, dtype: Dtype = "i8") -> Node:
        """The draw `index` of the key of `holders` ("12") at `party`."""
        draw = Draw(tuple(map(int, holders)), index)
        dims = self.shape if shape is None else tuple(map(affine, shape))
        node = self._nodes.setdefault((draw, party), Node("draw", (), {}, dims, dtype, party, draw))
        assert (node.shape, node.dtype) == (dims, dtype), "drawn before, of another shape or type"
        return node

    def x(self, party: int, component: int) -> Node:
        """A component of the request."""
        secret = Input("x", component)
        return self._nodes.setdefault((secret, party), Node("input", (), {}, self.shape, "i8", party, None, secret))

    def w(self, party: int, component: int) -> Node:
        """A component of a weight that has the shape of one row."""
        secret, shape = Input("w", component), tuple(map(Affine, self.size))
        return self._nodes.setdefault((secret, party), Node("input", (), {}, shape, "i8", party, None, secret))

    def const(self, value: int) -> Node:
        """A public word."""
        return Node("const", (), {"value": value}, (), "i8", None)

    def bit(self, party: int, component: int) -> Node:
        """Whether a component of the request is not 0, as a bit."""
        return self.op("cast", self.x(party, component), dtype="b1")

    def op(
        self,
        op: str,
        *inputs: Node,
        shape: Dims | None = None,
        dtype: Dtype | None = None,
        at: int | None = None,
        **attrs: Any,
    ) -> Node:
        """An operation at party `at`; by default where its first input is, of that input's shape and type."""
        first = inputs[0]
        dims = first.shape if shape is None else tuple(map(affine, shape))
        return Node(op, inputs, attrs, dims, dtype or first.dtype, first.party if at is None else at)

    def part(self, draw: Node, part: int, at: int | None = None) -> Node:
        """A slice along the first axis."""
        rank = len(draw.shape)
        return self.op(
            "slice",
            draw,
            shape=draw.shape[1:],
            at=at,
            start=[part] + [0] * (rank - 1),
            stop=[part + 1] + [None] * (rank - 1),
            step=[1] * rank,
            drop=[0],
        )

    def send(self, node: Node, *receivers: int, part: int | None = None) -> None:
        """`node` goes to `receivers`, each of which uses it, or only its leading slice number `part`."""
        self.sent += [(node, receiver, part) for receiver in receivers]

    def program(self) -> Program:
        """The whole program: all messages are used, and the answer is as the prover wants it."""
        used: dict[int, list[tuple[Node, int | None]]] = {0: [], 1: [], 2: []}
        for node, receiver, part in self.sent:
            assert node.party is not None
            (component,) = {node.party, (node.party + 1) % 3} & {receiver, (receiver + 1) % 3}
            used[component].append((node, part))

        def y(party: int, component: int) -> Node:
            """A component of the answer before it is masked."""
            value = self.x(party, component)
            for node, part in used[component]:
                source = node if part is None else self.part(node, part, at=party)
                value = self.op("add", value, self._total(source, party))
            return value

        def mask(party: int, holders: str) -> Node:
            return self.draw(party, holders, ANSWER_MASK)

        def middle(party: int, m: Node, n: Node) -> Node:
            return self.op("sub", self.op("sub", y(party, 1), m), n)

        m0, n1 = mask(0, "02"), mask(1, "12")
        return Program(
            protocol="ABY3",
            architecture_digest="",
            input_shape=self.size,
            output_shape=self.size,
            weights={"w": self.size},
            outputs=(
                (self.op("add", y(0, 0), m0), middle(0, m0, n1)),
                (middle(1, m0, n1), self.op("add", y(1, 2), n1)),
                (self.op("add", y(2, 2), mask(2, "12")), self.op("add", y(2, 0), mask(2, "02"))),
            ),
        )

    def _total(self, node: Node, party: int) -> Node:
        """The sum of all elements, by `party`."""
        words = node if node.dtype == "i8" else self.op("cast", node, dtype="i8", at=party)
        return self.op("sum", words, shape=(), at=party, axes=list(range(len(node.shape))), keep=False)
