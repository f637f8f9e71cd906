"""Tapes: places that never collide, walks that stay the same, frames that are computed in place, what is no tape."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import triveni.mpc.execute
from tests.unit.mpc.execute.machine_programs import (
    bits_program,
    const,
    drawn,
    op,
    product_program,
    program,
    two_rounds_program,
)
from tests.unit.mpc.execute.machine_programs import given as input_node
from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.execute.arena import ALIGNMENT, Block, Life, place
from triveni.mpc.execute.tape import CODES, InvalidTape, Tape, frame_order, split_setup
from triveni.mpc.execute.tape_writer import compile_tape
from triveni.mpc.execute.view import ONE, View, merged
from triveni.mpc.program import Dtype, Node, Program
from triveni.mpc.schedule import Schedule

PROGRAMS: list[Callable[[], Program]] = [product_program, bits_program, two_rounds_program]


# --- places -------------------------------------------------------------------------------------------------------

SIZES = st.builds(Affine, st.integers(0, 300), st.integers(0, 300)).filter(lambda size: size.at(1) > 0)


@st.composite
def blocks(draw: st.DrawFn) -> list[Block]:
    result = []
    for _ in range(draw(st.integers(1, 25))):
        first = draw(st.integers(0, 30))
        life = draw(st.sampled_from(Life))
        size = Affine(draw(SIZES).fixed + 1) if life is Life.EPOCH else draw(SIZES)
        result.append(Block(size, life, first, first + draw(st.integers(0, 8))))
    return result


@given(blocks())
def test_blocks_in_use_at_the_same_time_never_overlap_for_any_number_of_rows(some: list[Block]) -> None:
    arena = place(some)
    for rows in (1, 2, 3, 8, 33):
        spans = [(b.offset.at(rows), b.offset.at(rows) + b.size.at(rows)) for b in some]
        assert all(start % ALIGNMENT == 0 and start >= 0 and end <= arena.at(rows) for start, end in spans)
        for (a, (start_a, end_a)), (b, (start_b, end_b)) in itertools.combinations(zip(some, spans, strict=True), 2):
            shared = a.life is b.life is Life.SCRATCH and (a.last < b.first or b.last < a.first)
            assert shared or end_a <= start_b or end_b <= start_a


@given(blocks())
def test_what_lives_for_an_epoch_lies_at_the_same_place_for_any_number_of_rows(some: list[Block]) -> None:
    place(some)
    assert all(not b.offset.per_row for b in some if b.life is Life.EPOCH)


def test_a_chain_of_values_takes_the_room_of_two() -> None:
    chain = [Block(Affine(0, 64), Life.SCRATCH, step, step + 1) for step in range(10)]
    assert place(chain) == Affine(0, 2 * 64)


# --- views --------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.data())
def test_merged_axes_are_walked_in_the_same_order(data: st.DataObject) -> None:
    dims = data.draw(st.lists(st.integers(1, 3), min_size=0, max_size=4))
    steps = [data.draw(st.lists(st.integers(0, 6), min_size=len(dims), max_size=len(dims))) for _ in range(2)]
    steps.append([int(np.prod(dims[axis + 1 :])) for axis in range(len(dims))])

    def walk(dims: Sequence[int], steps: Sequence[int]) -> list[int]:
        return [sum(i * s for i, s in zip(at, steps, strict=True)) for at in itertools.product(*map(range, dims))]

    as_affine = [tuple(map(Affine, s)) for s in steps]
    new_dims, new_steps = merged(tuple(map(Affine, dims)), as_affine)
    assert 1 <= len(new_dims) <= max(len(dims), 1)
    for old, new in zip(steps, new_steps, strict=True):
        assert walk(dims, old) == walk([d.fixed for d in new_dims], [s.fixed for s in new])


def test_an_axis_of_rows_merges_only_where_it_fits_for_every_number_of_rows() -> None:
    dims = (Affine(4), ROWS, Affine(6))
    dense = View.dense(Block(Affine(0), Life.SCRATCH), Affine(0), dims)
    assert merged(dims, [dense.steps])[0] == (Affine(0, 24),)
    half = (Affine(0, 12), Affine(6), ONE)
    assert merged(dims, [half])[0] == (Affine(4), Affine(0, 6))


# --- tapes --------------------------------------------------------------------------------------------------------


def codes(tape: Tape, *names: str) -> int:
    return sum(int(code) in {CODES[name] for name in names} for code in tape.fixed[:, 0])


def test_the_numbers_of_operations_and_fields_are_those_of_the_kernel() -> None:
    header = (Path(triveni.mpc.execute.__file__).parent / "kernel" / "record.h").read_text()
    inside = header.split("OP_ADD", 1)[1].split("OPS\n", 1)[0]
    names = ["add"] + [word.strip(",").removeprefix("OP_").lower() for word in inside.split() if word.startswith("OP_")]
    assert {name: number for number, name in enumerate(names)} == dict(CODES)
    assert "_Static_assert(sizeof(record) == 40" in header


@pytest.mark.parametrize("make", PROGRAMS)
def test_a_tape_for_some_rows_is_that_of_a_program_of_that_size(make: Callable[[], Program]) -> None:
    for party in range(3):
        tape = compile_tape(make(), party)
        assert np.array_equal(tape.at(5) - tape.at(4), tape.at(2) - tape.at(1))
        assert np.array_equal(tape.at(5) - tape.at(4), tape.per_row)


def test_what_is_sent_is_computed_in_its_frame_without_a_copy() -> None:
    for party in range(3):
        tape = compile_tape(product_program(), party)
        assert codes(tape, "copy") == 0
        # Two words of each row are sent, in the frame where the sum of product and zero-sharing was written.
        ((peer, (offset, size)),) = tape.online[0].sends
        assert (peer, size) == ((party + 2) % 3, Affine(0, 3 * 8))
        assert any(record[0] == CODES["add"] and record[4] == offset.at(2) for record in tape.at(2))


def test_reshapes_and_planes_one_after_the_other_cost_nothing() -> None:
    x = input_node(0, "x", 0, (4, ROWS, 6))
    cut = op("slice", 0, [x], (2, ROWS, 6), start=[1, 0, 0], stop=[3, None, None], step=[1] * 3, drop=[])
    flat = op("reshape", 0, [cut], (ROWS * 12,))
    tape = compile_tape(of_party_0(op("reshape", 0, [flat], (ROWS, 12))), 0)
    assert len(tape.fixed) == 0
    assert tape.outputs[0] == (tape.inputs[x.input][0] + ROWS * 48, ROWS * 96)  # type: ignore[index]


def test_every_second_plane_is_read_where_it_lies() -> None:
    x = input_node(0, "x", 0, (4, ROWS, 6))
    every = {"stop": [None] * 3, "step": [2, 1, 1], "drop": []}
    even, odd = (op("slice", 0, [x], (2, ROWS, 6), start=[n, 0, 0], **every) for n in (0, 1))
    tape = compile_tape(of_party_0(op("xor", 0, [even, odd])), 0)
    assert [int(code) for code in tape.fixed[:, 0]] == [CODES["xor"]]


def test_a_value_whose_neighbours_lie_apart_is_copied_once_and_not_walked_by_every_reader() -> None:
    x = input_node(0, "x", 0, (ROWS, 4, 6))
    turned = op("transpose", 0, [x], (ROWS, 6, 4), perm=[0, 2, 1])
    tape = compile_tape(of_party_0(op("add", 0, [op("mul", 0, [turned, turned]), turned])), 0)
    assert [int(code) for code in tape.fixed[:, 0]] == [CODES["copy"], CODES["mul"], CODES["add"]]


def test_an_answer_is_one_piece_even_if_others_can_read_it_as_it_lies() -> None:
    x = input_node(0, "x", 0, (ROWS, 4))
    cut = op("slice", 0, [x], (ROWS, 2), start=[0, 1], stop=[None, 3], step=[1, 1], drop=[])
    tape = compile_tape(of_party_0(cut, op("add", 0, [cut, const(1)])), 0)
    assert codes(tape, "copy") == 1
    assert tape.outputs[0][1] == ROWS * 16


def of_party_0(node: Node, *others: Node) -> Program:
    x = input_node(1, "x", 1, (ROWS, 1)), input_node(2, "x", 2, (ROWS, 1))
    return program([(node, others[0] if others else node), (x[0], x[0]), (x[1], x[1])], (1,), (1,))


def test_frames_hold_words_before_bytes_so_that_words_are_aligned() -> None:
    nodes = [drawn(0, (0,), n, (ROWS, n + 1), d) for n, d in enumerate(("u1", "i8", "b1", "i8"))]  # type: ignore[arg-type]
    assert frame_order(nodes) == [nodes[1], nodes[3], nodes[0], nodes[2]]


def test_setup_values_whose_size_depends_on_the_rows_are_computed_in_every_run() -> None:
    weight = input_node(0, "w", 0, (4,))
    fixed = op("add", 0, [weight, const(1)])
    wide = op("add", 0, [fixed, const(0, dims=(ROWS, 4))], (ROWS, 4))
    total = op("sum", 0, [wide], (), axes=[0, 1], keep=False)
    x = op("add", 0, [input_node(0, "x", 0, (ROWS, 4)), total])
    schedule = Schedule(of_party_0(x)).party(0)
    (once,), each = split_setup(schedule)
    assert ((once.before, once.after), each) == (((), (fixed,)), [wide, total])
    tape = compile_tape(of_party_0(x), 0)
    assert [(r.before.count, r.after.count) for r in tape.setup] == [(0, 1)]
    assert tape.each.count == 3


def test_streams_and_frames_to_send_share_their_place_with_nothing() -> None:
    for make in PROGRAMS:
        tape = compile_tape(make(), 1)
        kept = list(tape.streams.values())
        kept += [span for round_ in tape.ahead + tape.online for _, span in round_.sends]
        for rows in (1, 5):
            ends = sorted((offset.at(rows), offset.at(rows) + size.at(rows)) for offset, size in kept)
            assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
            masks = (CODES["and"], 2)
            for record in tape.at(rows)[tape.each.first + tape.each.count :]:
                inside = [s for s, e in ends[: len(tape.streams)] if s <= record[4] < e]
                assert not inside or tuple(record[:2]) == masks


X = (ROWS, 4)


def bad(name: str, inputs: Sequence[Node], dims: Any = X, dtype: Dtype = "i8", **attrs: Any) -> Any:
    """A case of the test below: an operation of party 0."""
    return op(name, 0, inputs, dims, dtype, **attrs)


def x_of(dims: Any = X, component: int = 0) -> Node:
    return input_node(0, "x", component, dims)


BIT = op("cast", 0, [x_of()], dtype="b1")


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (bad("add", [x_of(), BIT]), "types"),
        (bad("add", [x_of(), x_of((ROWS, 3), 1)]), "3 elements do not broadcast to 4"),
        (bad("add", [x_of(), x_of((2, ROWS, 4), 1)]), "3 axes do not broadcast to 2"),
        (op("cast", 0, [bad("sub", [BIT, BIT], dtype="b1")], dtype="i8"), "not an operation on bits"),
        (bad("matmul", [x_of(), x_of((3, 4), 1)]), "4 columns times 3 rows"),
        (bad("matmul", [x_of(), x_of((4, 5), 1)]), "a product of 5\\*rows elements"),
        (bad("reshape", [x_of()], (ROWS, 5)), "4\\*rows elements cannot be 5\\*rows"),
        (bad("transpose", [x_of()], perm=[0, 0]), "not an order of 2 axes"),
        (bad("slice", [x_of()], start=[0, 0], stop=[2, None], step=[1, 1], drop=[]), "0:2:1 of rows elements"),
        (bad("slice", [x_of()], start=[0, 1], stop=[None, None], step=[1, 1], drop=[]), "a view of 3\\*rows elements"),
        (bad("slice", [x_of()], start=[0, 0], stop=[None] * 2, step=[2, 1], drop=[]), "0:None:2 of rows elements"),
        (bad("stack", [x_of(), x_of((ROWS, 3), 1)], (2, ROWS, 4), axis=0), "differ in shape"),
        (bad("stack", [x_of()], (2, ROWS, 4), axis=0), "1 values"),
        (bad("pad", [x_of()], before=[0, 1], after=[0, 1]), "padding"),
        (bad("sum", [op("cast", 0, [x_of()], dtype="u1")], (ROWS,), axes=[1], keep=False), "have a sum"),
        (op("cast", 0, [bad("bitslice", [x_of()], (64, ROWS, 2), "u1")], dtype="i8"), "not the planes"),
        (op("cast", 0, [x_of()], (4, ROWS), "i8"), "another shape"),
        (op("cast", 0, [op("shr", 0, [op("cast", 0, [x_of()], dtype="u1")] * 2)], dtype="i8"), "logical shift"),
        (bad("shape", [x_of()]), "no such operation"),
        (bad("patches", [x_of((1, ROWS, 1, 4))], kernel=[1, 1], strides=[1, 1]), "depends on the rows"),
        (op("add", 0, [x_of((ROWS, 0)), const(1)]), "without elements"),
        (BIT, "an answer is words"),
        (op("add", 0, [x_of(), drawn(0, (1, 2), 0, X)]), "a key that the party does not hold"),
        (op("add", 0, [x_of(), x_of((ROWS, 1))]), "the same input has"),
    ],
)
def test_a_program_that_fits_no_tape_is_refused_with_the_reason(node: Node, problem: str) -> None:
    with pytest.raises(InvalidTape, match=problem):
        compile_tape(of_party_0(node), 0)


def test_a_walk_over_too_many_axes_is_refused() -> None:
    dims = (ROWS, 2, 3, 2, 3, 2, 3, 2)
    turned = op("transpose", 0, [x_of(dims)], [dims[a] for a in (7, 6, 5, 4, 3, 2, 1, 0)], perm=list(range(7, -1, -1)))
    with pytest.raises(InvalidTape, match="8 axes, where 6 are possible"):
        compile_tape(of_party_0(op("matmul", 0, [turned, x_of((ROWS, 1), 1)], (*turned.shape[:-1], 1))), 0)
