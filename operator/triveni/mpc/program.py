"""The program: what the three workers compute together, as plain data.

A program is a directed acyclic graph of nodes in one canonical order. Every node belongs to one party (constants to
all); an edge between two parties is a message. It holds no weight and no number that depends on the batch size: shapes
are affine in the number of rows. Its JSON is the same bytes wherever it is compiled, so that workers can compare
digests. docs/engine.md documents the format; `ops.py` is the meaning of each operation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from triveni.mpc.affine import Affine, affine, product

FORMAT = "triveni.dev/program/v1"

PARTIES = (0, 1, 2)

Dtype = Literal["i8", "u1", "b1"]
"""``i8`` a word of the ring mod 2^64; ``u1`` a byte of bit planes; ``b1`` one bit in a byte."""

ITEM_BYTES: Mapping[Dtype, int] = {"i8": 8, "u1": 1, "b1": 1}

Shape = tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """One random value: the key of `holders` (all parties that can make it), and its number in that key's stream.

    With `epoch` it is made once, from the epoch's own stream; otherwise anew for each run, from that run's.
    """

    holders: tuple[int, ...]
    index: int
    epoch: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """One component of a secret: `name` is ``x`` (a request) or the name of a weight; `component` is its number."""

    name: str
    component: int

    @property
    def is_request(self) -> bool:
        """Whether the value comes with each request, rather than once for an epoch."""
        return self.name == "x"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One value of one party. Nodes are immutable and compared by identity.

    `attrs` holds JSON data only, whose keys depend on `op`; `draw` and `input` nodes have theirs in `draw`, `input`.
    """

    op: str
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    shape: Shape
    dtype: Dtype
    party: int | None
    draw: Draw | None = None
    input: Input | None = None

    @property
    def size(self) -> Affine:
        """Number of elements."""
        return product(self.shape)

    @property
    def nbytes(self) -> Affine:
        """Size in bytes."""
        return self.size * ITEM_BYTES[self.dtype]

    def with_inputs(self, inputs: Iterable[Node]) -> Node:
        """The same operation on other values; itself if nothing changes."""
        new = tuple(inputs)
        same = len(new) == len(self.inputs) and all(a is b for a, b in zip(new, self.inputs, strict=True))
        return self if same else replace(self, inputs=new)

    def __repr__(self) -> str:
        shape = ",".join(map(str, self.shape))
        what = self.draw or self.input or dict(self.attrs)
        return f"<{self.op} {self.dtype}[{shape}] party {self.party} {what}>"


@dataclass(frozen=True)
class Program:
    """The whole computation of all three parties.

    `outputs[p]` are the components of the answer that party p holds, in the order of `sharing.components_of`.
    `weights` gives the shape of each weight input in the order in which the sharing job sends them.
    """

    protocol: str
    architecture_digest: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: Mapping[str, tuple[int, ...]]
    outputs: tuple[tuple[Node, ...], ...]
    compiler: str = ""
    nodes: tuple[Node, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(topological(self.outputs)))

    def with_outputs(self, outputs: Iterable[Iterable[Node]]) -> Program:
        """The same program with other output nodes (passes use it)."""
        return replace(self, outputs=tuple(tuple(nodes) for nodes in outputs))

    def to_json(self) -> bytes:
        """Canonical bytes: nodes in topological order, no white space, sorted keys."""
        number = {node: position for position, node in enumerate(self.nodes)}
        document = {
            "format": FORMAT,
            "protocol": self.protocol,
            "architecture": self.architecture_digest,
            "compiler": self.compiler,
            "input": list(self.input_shape),
            "output": list(self.output_shape),
            "weights": [[name, list(shape)] for name, shape in self.weights.items()],
            "nodes": [_node_json(node, number) for node in self.nodes],
            "outputs": [[number[node] for node in nodes] for nodes in self.outputs],
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes) -> Program:
        """Read a program; ValueError if it is not one. It proves nothing: see `prove`."""
        try:
            return _read(json.loads(data))
        except (KeyError, TypeError, IndexError, RecursionError) as error:
            raise ValueError(f"not a program: {type(error).__name__}: {error}") from error


def _node_json(node: Node, number: Mapping[Node, int]) -> list[Any]:
    attrs = dict(node.attrs)
    if node.draw:
        attrs |= {"holders": list(node.draw.holders), "index": node.draw.index}
        attrs |= {"epoch": True} if node.draw.epoch else {}
    if node.input:
        attrs |= {"name": node.input.name, "component": node.input.component}
    return [
        node.op,
        [number[i] for i in node.inputs],
        attrs,
        [dim.json() for dim in node.shape],
        node.dtype,
        node.party,
    ]


def _read(document: Mapping[str, Any]) -> Program:
    if document["format"] != FORMAT:
        raise ValueError(f"not a program of format {FORMAT}: {document['format']!r}")
    nodes: list[Node] = []
    for entry in document["nodes"]:
        nodes.append(_node(entry, nodes))
    return Program(
        protocol=str(document["protocol"]),
        architecture_digest=str(document["architecture"]),
        input_shape=tuple(map(_whole, document["input"])),
        output_shape=tuple(map(_whole, document["output"])),
        weights={str(name): tuple(map(_whole, shape)) for name, shape in document["weights"]},
        outputs=tuple(tuple(nodes[_whole(number)] for number in numbers) for numbers in document["outputs"]),
        compiler=str(document["compiler"]),
    )


def _node(entry: Any, before: Sequence[Node]) -> Node:
    match entry:
        case [str(op), [*inputs], dict(attrs), [*shape], dtype, party]:
            pass
        case _:
            raise ValueError(f"node {len(before)} is none")
    if any(_whole(i) >= len(before) for i in inputs) or dtype not in tuple(ITEM_BYTES):
        raise ValueError(f"node {len(before)} reads a later node or has an unknown type")
    if (party is None) != (op == "const") or (party is not None and _whole(party) not in PARTIES):
        raise ValueError(f"node {len(before)} belongs to no party")
    draw = _draw(attrs) if op == "draw" else None
    secret = Input(str(attrs["name"]), _whole(attrs["component"])) if op == "input" else None
    return Node(
        op,
        tuple(before[i] for i in inputs),
        {} if draw or secret else {key: _attribute(value) for key, value in attrs.items()},
        tuple(map(_size, shape)),
        dtype,
        party,
        draw,
        secret,
    )


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.60} is no number of at least 0")
    return value


def _size(value: Any) -> Affine:
    """A size of a shape: a number, or a pair of numbers if it depends on the rows."""
    match value:
        case int() | [int(), int()]:
            return affine(value)
    raise ValueError(f"{value!r:.60} is no size")


def _attribute(value: Any) -> Any:
    """Numbers, texts, and lists of them; what an operation makes of them the prover and the backends check."""
    if isinstance(value, list):
        return [_attribute(item) for item in value]
    if value is None or isinstance(value, int | str):
        return value
    raise ValueError(f"{value!r:.60} is no attribute")


def _draw(attrs: Mapping[str, Any]) -> Draw:
    if not set(attrs) <= {"holders", "index", "epoch"} or attrs.get("epoch", True) is not True:
        raise ValueError(f"a draw has no attributes {dict(attrs)}")
    return Draw(tuple(map(_whole, attrs["holders"])), _whole(attrs["index"]), "epoch" in attrs)


def topological(outputs: Iterable[Iterable[Node]]) -> Iterator[Node]:
    """Every node that the outputs need, each after its inputs, in an order that depends on the graph alone."""
    done: set[Node] = set()
    for root in (node for nodes in outputs for node in nodes):
        stack = [root]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            waiting = [i for i in node.inputs if i not in done]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            done.add(node)
            stack.pop()
            yield node


def rewrite(program: Program, change: Callable[[Node], Node | None]) -> Program:
    """Rebuild a program bottom-up; `change` sees each node with its inputs already changed."""
    new: dict[Node, Node] = {}
    for node in program.nodes:
        moved = node.with_inputs(new[i] for i in node.inputs)
        new[node] = change(moved) or moved
    return program.with_outputs([new[node] for node in nodes] for nodes in program.outputs)
