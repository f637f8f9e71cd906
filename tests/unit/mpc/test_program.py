"""Programs: canonical bytes, strict reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.program import Draw, Input, Node, Program, rewrite


def small() -> Program:
    """Party p holds two inputs and adds a draw to the first, for each party."""
    outputs = []
    for party in range(3):
        holders = tuple(sorted((party, (party + 1) % 3)))
        first, second = (
            Node("input", (), {}, (ROWS, Affine(2)), "i8", party, input=Input("x", (party + j) % 3)) for j in range(2)
        )
        draw = Node("draw", (), {}, (ROWS, Affine(2)), "i8", party, draw=Draw(holders, 0))
        outputs.append((Node("add", (first, draw), {}, (ROWS, Affine(2)), "i8", party), second))
    return Program("ABY3", "a" * 64, (2,), (2,), {"d/kernel": (2, 2)}, tuple(outputs), "test")


def test_the_bytes_read_back_to_the_same_bytes() -> None:
    data = small().to_json()
    assert Program.from_json(data).to_json() == data
    assert Program.from_json(data).digest == small().digest


def test_the_bytes_do_not_depend_on_how_nodes_were_made() -> None:
    copied = rewrite(
        small(),
        lambda node: Node(node.op, node.inputs, node.attrs, node.shape, node.dtype, node.party, node.draw, node.input),
    )
    assert copied.to_json() == small().to_json()


def test_every_node_comes_after_its_inputs() -> None:
    seen = set()
    for node in small().nodes:
        assert all(source in seen for source in node.inputs)
        seen.add(node)


def test_nodes_that_no_output_needs_are_not_in_the_program() -> None:
    program = small()
    outputs = [(pair[1], pair[1]) for pair in program.outputs]
    assert {node.op for node in program.with_outputs(outputs).nodes} == {"input"}


def _node(change: Callable[[list[Any]], None]) -> Callable[[dict[str, Any]], None]:
    return lambda document: change(document["nodes"][2])


@pytest.mark.parametrize(
    "break_it",
    [
        lambda d: d.pop("format"),
        lambda d: d.update(format="other"),
        lambda d: d.update(nodes=7),
        lambda d: d.update(outputs=[[0, 99]]),
        _node(lambda n: n.__setitem__(1, [7])),
        _node(lambda n: n.__setitem__(1, [-1])),
        _node(lambda n: n.__setitem__(4, "f8")),
        _node(lambda n: n.__setitem__(5, 3)),
        _node(lambda n: n.__setitem__(5, None)),
        _node(lambda n: n.pop()),
    ],
)
def test_bytes_that_are_not_a_program_are_refused(break_it: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(small().to_json())
    break_it(document)
    with pytest.raises(ValueError, match=r"."):
        Program.from_json(json.dumps(document).encode())


def test_bytes_that_are_not_json_are_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        Program.from_json(b"{")
