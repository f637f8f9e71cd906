"""The native kernel: every operation in every instruction set against the oracle, and what it refuses to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.mpc.execute.machine_programs import (
    bits_program,
    const,
    op,
    product_program,
    program,
    two_rounds_program,
)
from tests.unit.mpc.execute.machine_programs import given as input_node
from tests.unit.mpc.execute.tape_check import is_good
from tests.unit.mpc.securenn_programs import securenn_program
from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.comparison import COLUMNS, DRAW_WORDS, MODULUS, UNITS
from triveni.mpc.execute.batch import Backend
from triveni.mpc.execute.interpret import NumpyBackend
from triveni.mpc.execute.native import KERNEL, NativeBackend, checked
from triveni.mpc.execute.tape import RECORD_WORDS, InvalidTape, Tape
from triveni.mpc.execute.tape_writer import compile_tape
from triveni.mpc.program import Dtype, Node

VARIANTS = KERNEL.variants() if KERNEL else ()

EDGES = np.array([0, 1, -1, 2, 255, 256, 2**31, 2**32 - 1, 2**63 - 1, -(2**63), -(2**63) + 1])

# Lengths around the widths of vectors and of unrolled loops.
LENGTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130]

Dims = Sequence[Affine | int]


def kernel() -> Any:
    assert KERNEL is not None, "these tests need the kernel: make setup with a C compiler"
    return KERNEL


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Iterator[str]:
    """An instruction set that this processor has."""
    kernel().use(request.param)
    yield request.param
    kernel().use(VARIANTS[-1])


class Bench:
    """One operation of party 0 on values that the test gives; the result is what it sends to party 1."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.sources: list[Node] = []

    def value(self, dims: Dims, dtype: Dtype = "i8") -> Node:
        """An operand with random and edge values."""
        source = input_node(0, "x", len(self.sources), dims)
        self.sources.append(source)
        return source if dtype == "i8" else op("cast", 0, [source], dtype=dtype)

    def words(self, shape: tuple[int, ...]) -> Any:
        random = self.rng.integers(-(2**63), 2**63 - 1, shape, endpoint=True)
        return np.where(self.rng.random(shape) < 0.4, self.rng.choice(EDGES, shape), random)

    def assert_native_is_as_numpy(self, node: Node, rows: int) -> None:
        idle = op("reshape", 1, [node])
        x = input_node(0, "x", 99, (ROWS, 1))
        whole = program([(x, x), (idle, idle), (x, x)], (1,), (1,))
        native, oracle = NativeBackend(whole, 0, rows, kernel()), NumpyBackend(whole, 0)
        given_words = {source.input: self.words(tuple(d.at(rows) for d in source.shape)) for source in self.sources}
        assert self._sent(native, given_words, rows) == self._sent(oracle, given_words, rows)

    @staticmethod
    def _sent(backend: Backend, words: Any, rows: int) -> list[bytes]:
        setup = backend.load({})
        batch = backend.batch(rows)
        for place, value in [(batch.request[source], value) for source, value in words.items()]:
            place[...] = value
        if batch.start:
            batch.start()
        for compute in [part for step in (*setup.steps, *batch.online) for part in (step.before, step.after)]:
            if compute:
                compute()
        return [bytes(frame.buffer) for step in batch.online for frame in step.sends]


SHAPES: list[tuple[Dims, Dims]] = [
    ((ROWS, 5), (ROWS, 5)),
    ((ROWS, 3, 4), (4,)),
    ((ROWS, 3, 4), (3, 1)),
    ((ROWS, 3, 4), (ROWS, 1, 4)),
    ((ROWS, 3, 4), ()),
    ((4,), (ROWS, 3, 4)),
    ((), (ROWS, 3, 4)),
    ((ROWS, 1, 4), (3, 1)),
    ((2, ROWS, 3), (2, 1, 3)),
]


def result_dims(a: Dims, b: Dims) -> Dims:
    length = max(len(a), len(b))
    a, b = ((1,) * (length - len(d)) + tuple(d) for d in (a, b))
    return [y if x in (1, Affine(1)) else x for x, y in zip(a, b, strict=True)]


ELEMENTWISE: dict[Dtype, list[str]] = {
    "i8": ["add", "sub", "mul", "and", "or", "xor", "shl", "shr", "sar"],
    "u1": ["add", "sub", "mul", "and", "or", "xor", "shl", "sar"],
    "b1": ["add", "mul", "and", "or", "xor"],
}


@pytest.mark.parametrize(("dtype", "name"), [(d, name) for d, names in ELEMENTWISE.items() for name in names])
def test_elementwise_operations_with_broadcasting(variant: str, name: str, dtype: Dtype) -> None:
    for dims in SHAPES:
        for rows in (1, 2, 5):
            bench = Bench(rows)
            a, b = (bench.value(d, dtype) for d in dims)
            bench.assert_native_is_as_numpy(op(name, 0, [a, b], result_dims(*dims), dtype), rows)


@pytest.mark.parametrize(("dtype", "name"), [(d, name) for d, names in ELEMENTWISE.items() for name in names])
def test_elementwise_operations_of_any_length(variant: str, name: str, dtype: Dtype) -> None:
    for length in LENGTHS:
        bench = Bench(length)
        a, b = (bench.value((ROWS, length), dtype) for _ in range(2))
        bench.assert_native_is_as_numpy(op(name, 0, [a, b]), 3)


@pytest.mark.parametrize("name", ["shl", "shr", "sar"])
def test_shifts_by_a_constant(variant: str, name: str) -> None:
    for count in (0, 1, 13, 31, 32, 63, 64, 65, 200, -1):
        bench = Bench(count + 1)
        bench.assert_native_is_as_numpy(op(name, 0, [bench.value((ROWS, 11)), const(count)]), 3)


@pytest.mark.parametrize("dtype", ["i8", "u1", "b1"])
def test_select_with_broadcasting(variant: str, dtype: Dtype) -> None:
    for dims in SHAPES:
        result = result_dims(*dims)
        for condition in (result, (1,)):
            bench = Bench(len(dims[0]))
            bit, a, b = bench.value(condition, "b1"), bench.value(dims[0], dtype), bench.value(dims[1], dtype)
            bench.assert_native_is_as_numpy(op("select", 0, [bit, a, b], result, dtype), 3)


@pytest.mark.parametrize("to", ["i8", "u1", "b1"])
@pytest.mark.parametrize("dtype", ["i8", "u1", "b1"])
def test_casts_and_not(variant: str, dtype: Dtype, to: Dtype) -> None:
    for length in LENGTHS:
        bench = Bench(length)
        value = bench.value((ROWS, length), dtype)
        bench.assert_native_is_as_numpy(op("not", 0, [op("cast", 0, [value], dtype=to)]), 2)
        bench.assert_native_is_as_numpy(op("cast", 0, [value], dtype=to), 2)


@pytest.mark.parametrize("depth", [1, 2, 16, 127, 128, 129, 300])
def test_products_of_matrices_of_any_size(variant: str, depth: int) -> None:
    for n in (1, 2, 3, 4, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33):
        for rows, m in ((1, 1), (2, 3), (1, 6), (3, 5)):
            bench = Bench(depth + n)
            a, b = bench.value((ROWS, m, depth)), bench.value((depth, n))
            bench.assert_native_is_as_numpy(op("matmul", 0, [a, b], (ROWS, m, n)), rows)


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        ((ROWS, 4), (4, 3), (ROWS, 3)),
        ((ROWS, 2, 3, 4), (ROWS, 2, 4, 5), (ROWS, 2, 3, 5)),
        ((ROWS, 2, 3, 4), (2, 4, 5), (ROWS, 2, 3, 5)),
        ((ROWS, 1, 3, 4), (2, 4, 5), (ROWS, 2, 3, 5)),
        ((3, 4), (ROWS, 4, 5), (ROWS, 3, 5)),
        ((ROWS, 3, 4), (1, 4, 5), (ROWS, 3, 5)),
        ((ROWS, 1, 4), (ROWS, 4, 1), (ROWS, 1, 1)),
        ((4,), (ROWS, 4, 5), (ROWS, 5)),
        ((ROWS, 3, 4), (4,), (ROWS, 3)),
        ((4,), (4,), ()),
        ((3, ROWS), (ROWS, 2), (3, 2)),
    ],
    ids=str,
)
def test_products_of_batches_matrices_and_vectors(variant: str, a: Dims, b: Dims, result: Dims) -> None:
    for rows in (1, 2, 3):
        bench = Bench(rows)
        bench.assert_native_is_as_numpy(op("matmul", 0, [bench.value(a), bench.value(b)], result), rows)


@pytest.mark.parametrize("dtype", ["i8", "b1"])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [[0], [1], [2], [-1], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
def test_sums(variant: str, axes: list[int], keep: bool, dtype: Dtype) -> None:
    bench = Bench(len(axes))
    value = bench.value((ROWS, 4, 9), dtype)
    gone = {axis % 3 for axis in axes}
    dims = [Affine(1) if a in gone else d for a, d in enumerate(value.shape) if keep or a not in gone]
    bench.assert_native_is_as_numpy(op("sum", 0, [value], dims, "i8", axes=axes, keep=keep), 3)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_bit_planes_and_back(variant: str, rows: int) -> None:
    for count in (1, 7, 8, 9, 10, 55, 56, 57, 63, 64, 65, 120, 128, 129, 200):
        bench = Bench(count)
        size = -(-count // 8)
        planes = op("bitslice", 0, [bench.value((ROWS, count))], (64, ROWS, size), "u1")
        bench.assert_native_is_as_numpy(planes, rows)
        one = op("slice", 0, [planes], (1, ROWS, size), start=[63, 0, 0], stop=[64, None, None], step=[1] * 3, drop=[])
        bench.assert_native_is_as_numpy(op("bitunslice", 0, [one], (ROWS, count), "b1"), rows)


@pytest.mark.parametrize("dtype", ["i8", "u1", "b1"])
def test_moving_elements(variant: str, dtype: Dtype) -> None:
    def moved(bench: Bench) -> Iterator[Node]:
        x = bench.value((ROWS, 6, 5, 3), dtype)
        for perm in ([0, 2, 1, 3], [3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 3, 2]):
            yield op("transpose", 0, [x], [x.shape[a] for a in perm], perm=perm)
        yield op("slice", 0, [x], (ROWS, 3, 3), start=[0, 1, 4, 0], stop=[None, 6, 5, 3], step=[1, 2, 1, 1], drop=[2])
        to_end = {"stop": [None] * 4, "step": [1] * 4}
        yield op("slice", 0, [x], (ROWS - 1, 6, 5), start=[1, 0, 0, -1], drop=[3], **to_end)
        backwards = {"stop": [None, 9, 0, None], "step": [1, 1, -2, -1]}
        yield op("slice", 0, [x], (ROWS, 6, 2, 3), start=[0, 0, 4, 2], drop=[], **backwards)
        yield op("stack", 0, [x, x, x], (ROWS, 3, 6, 5, 3), axis=1)
        yield op("stack", 0, [x, x], (ROWS, 6, 5, 3, 2), axis=-1)
        yield op("pad", 0, [x], (ROWS, 7, 9, 3), before=[0, 1, 2, 0], after=[0, 0, 2, 0])
        yield op("patches", 0, [x], (ROWS, 2, 2, 18), kernel=[3, 2], strides=[2, 2])
        yield op("patches", 0, [x], (ROWS, 1, 1, 90), kernel=[6, 5], strides=[1, 1])
        yield op("reshape", 0, [op("transpose", 0, [x], (ROWS, 5, 6, 3), perm=[0, 2, 1, 3])], (ROWS * 5, 18))
        flat = op("reshape", 0, [x], (ROWS * 30, 3))
        two = op("stack", 0, [flat, flat], (2, ROWS * 30, 3), axis=0)
        one = {"start": [1, 0, 0], "stop": [2, None, None], "step": [1, 1, 1], "drop": [0]}
        yield op("stack", 0, [flat, op("slice", 0, [two], flat.shape, **one)], (2, ROWS * 30, 3), axis=0)
        padded = op("pad", 0, [const(1, dtype, (6, 5))], (6, 7), before=[0, 1], after=[0, 1])
        ones = op("stack", 0, [const(1, dtype, (6, 5)), const(0, dtype, (6, 5))], (6, 5, 2), axis=2)
        first = {"start": [0] * 4, "stop": [None, 1, 1, 1], "step": [1] * 4, "drop": [1]}
        corner = op("slice", 0, [x], (ROWS, 1, 1), **first)
        yield op("xor", 0, [corner, padded], (ROWS, 6, 7))
        row = {"start": [0] * 4, "stop": [None, 1, 1, 1], "step": [1] * 4, "drop": []}
        yield op("xor", 0, [op("slice", 0, [x], (ROWS, 1, 1, 1), **row), ones], (ROWS, 6, 5, 2))

    for number, _ in enumerate(moved(Bench())):
        for rows in (2, 3):
            bench = Bench(rows)
            bench.assert_native_is_as_numpy(list(moved(bench))[number], rows)


ROW_COUNTS: list[Dims] = [(ROWS,), (ROWS, 5), (ROWS, 3, 7)]


@pytest.mark.parametrize("dims", ROW_COUNTS, ids=str)
def test_operations_on_rows_of_residues(variant: str, dims: Dims) -> None:
    row, words = (*dims, COLUMNS), (*dims, DRAW_WORDS)

    def residues(bench: Bench, modulus: int) -> Node:
        return op("residues", 0, [bench.value(words)], row, "u1", modulus=modulus)

    def deal_bits(bench: Bench) -> Node:
        return op("deal_bits", 0, [bench.value(dims), bench.value(row, "u1")], row, "u1")

    def compare(bench: Bench, role: int) -> Node:
        inputs = [bench.value(dims), bench.value(row, "u1"), bench.value(dims, "b1")]
        return op("compare", 0, inputs, row, "u1", role=role)

    def blind(bench: Bench, role: int) -> Node:
        return op("blind", 0, [bench.value(row, "u1") for _ in range(3)], role=role)

    def rotate(bench: Bench) -> Node:
        return op("rotate", 0, [bench.value(row, "u1"), bench.value(dims, "u1")])

    def rotate_turned(bench: Bench) -> Node:
        turned = op("transpose", 0, [bench.value((COLUMNS, *dims), "u1")], row, perm=[*range(1, len(row)), 0])
        return op("rotate", 0, [turned, bench.value(dims, "u1")])

    def has_zero(bench: Bench) -> Node:
        return op("has_zero", 0, [bench.value(row, "u1") for _ in range(2)], dims, "b1")

    makers: list[Callable[[Bench], Node]] = [deal_bits, rotate, rotate_turned, has_zero]
    makers += [partial(residues, modulus=modulus) for modulus in (2, 7, UNITS, MODULUS, 255)]
    makers += [partial(make, role=role) for make in (compare, blind) for role in (0, 1)]
    for make in makers:
        for rows in (1, 3):
            bench = Bench(rows)
            bench.assert_native_is_as_numpy(make(bench), rows)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9), st.integers(0, 1))
def test_a_comparison_of_any_size_is_the_same_natively_and_in_numpy(
    seed: int, rows: int, width: int, role: int
) -> None:
    dims = (ROWS, width)
    row, words = (*dims, COLUMNS), (*dims, DRAW_WORDS)
    bench = Bench(seed)
    share, factor, shift = (
        op("residues", 0, [bench.value(words)], row, "u1", modulus=modulus) for modulus in (MODULUS, UNITS, MODULUS)
    )
    dealt = op("deal_bits", 0, [bench.value(dims), share], row, "u1")
    columns = op("compare", 0, [bench.value(dims), dealt, bench.value(dims, "b1")], row, "u1", role=role)
    hidden = op("blind", 0, [columns, factor, shift], role=role)
    turned = op("rotate", 0, [hidden, bench.value(dims, "u1")])
    bench.assert_native_is_as_numpy(op("has_zero", 0, [turned, columns], dims, "b1"), rows)


# --- what it refuses ----------------------------------------------------------------------------------------------

TAPES = [compile_tape(make(), 0) for make in (product_program, bits_program, two_rounds_program, securenn_program)]

GUARD = 4096


def everything(tape: Tape, rows: int) -> Any:
    return tape.at(rows).copy()


INTERESTING = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([2**63 - 1, -(2**63), 2**62, 2**40, 2**40 + 1, 2**32, -(2**32), 2**61, 4096, -8, 8]),
    st.integers(-(2**63), 2**63 - 1),
)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_mutated_tape_is_refused_or_touches_nothing_outside_the_arena(data: st.DataObject) -> None:
    tape, rows = data.draw(st.sampled_from(TAPES)), data.draw(st.integers(1, 3))
    records, arena = everything(tape, rows), tape.arena.at(rows)
    for _ in range(data.draw(st.integers(1, 3))):
        row, field = data.draw(st.integers(0, len(records) - 1)), data.draw(st.integers(0, 22))
        near = st.integers(-16, 16).map(lambda d, at=int(records[row, field]): max(-(2**63), min(at + d, 2**63 - 1)))
        records[row, field] = data.draw(near | INTERESTING)
    good = [is_good([int(n) for n in record], arena) for record in records]
    verdict = kernel().check(records.tobytes(), arena)
    assert verdict == (-1 if all(good) else good.index(False))
    if verdict >= 0:
        return
    assume(all(np.prod(r[8 : 8 + 5 * r[2] : 5].astype(float)) < 1e6 for r in records))
    room = np.full(arena + 2 * GUARD, 0xC3, np.uint8)
    kernel().run(records.tobytes(), 0, len(records), memoryview(room)[GUARD : GUARD + arena])
    assert (room[:GUARD] == 0xC3).all()
    assert (room[GUARD + arena :] == 0xC3).all()


def test_every_record_of_a_compiled_tape_is_good_for_any_number_of_rows() -> None:
    for tape in TAPES:
        for rows in (1, 2, 3, 8, 32):
            records = everything(tape, rows)
            assert kernel().check(records.tobytes(), tape.arena.at(rows)) == -1
            assert all(is_good([int(n) for n in record], tape.arena.at(rows)) for record in records)


def test_a_tape_for_a_larger_arena_than_there_is_says_which_record_leaves_it() -> None:
    tape = TAPES[0]
    with pytest.raises(InvalidTape, match=r"record 0 of the tape for 2 rows"):
        checked(tape, 2, kernel(), 64)


@pytest.mark.parametrize(
    ("tape", "first", "count", "arena"),
    [
        (bytes(8 * RECORD_WORDS + 8), 0, 1, bytearray(64)),
        (bytes(8 * RECORD_WORDS), 0, 2, bytearray(64)),
        (bytes(8 * RECORD_WORDS), 2, 0, bytearray(64)),
        (bytes(8 * RECORD_WORDS), -1, 1, bytearray(64)),
        (bytes(8 * RECORD_WORDS), 0, -1, bytearray(64)),
        (bytes(8 * RECORD_WORDS), 1, 2**62, bytearray(64)),
        (bytes(8 * RECORD_WORDS), 0, 1, memoryview(bytearray(65))[1:]),
    ],
)
def test_the_kernel_runs_no_part_of_a_record_and_no_unaligned_arena(
    tape: Any, first: int, count: int, arena: Any
) -> None:
    with pytest.raises(ValueError, match="aligned"):
        kernel().run(tape, first, count, arena)


def test_the_arena_has_to_be_writable() -> None:
    with pytest.raises((TypeError, BufferError)):
        kernel().run(bytes(8 * RECORD_WORDS), 0, 1, bytes(64))


def test_an_instruction_set_that_the_processor_lacks_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match="no variant 'mmx'"):
        kernel().use("mmx")
    assert VARIANTS[0] == "plain"
