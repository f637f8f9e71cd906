"""The meaning of the operations, against plain Python integers mod 2^64 and against definitions written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.ops import NUMPY, OPS, evaluate
from triveni.mpc.program import Dtype, Node, Shape

EDGES = (0, 1, -1, 2, 2**31, 2**32 - 1, 2**63 - 1, -(2**63), -(2**63) + 1)

WORD = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1)

COUNT = st.integers(0, 63)


def word(value: int) -> int:
    """The integer between -2^63 and 2^63 that is equal mod 2^64."""
    return (value + 2**63) % 2**64 - 2**63


def apply(
    name: str, inputs: Sequence[Any], shape: Sequence[int | Affine], dtype: Dtype = "i8", rows: int = 2, **attrs: Any
) -> Any:
    dims: Shape = tuple(d if isinstance(d, Affine) else Affine(d) for d in shape)
    return evaluate(Node(name, (), attrs, dims, dtype, 0), inputs, rows)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("add", lambda a, b: a + b),
        ("sub", lambda a, b: a - b),
        ("mul", lambda a, b: a * b),
        ("and", lambda a, b: a & b),
        ("or", lambda a, b: a | b),
        ("xor", lambda a, b: a ^ b),
    ],
)
@given(a=WORD, b=WORD)
def test_arithmetic_is_that_of_integers_mod_2_to_the_64(
    name: str, meaning: Callable[[int, int], int], a: int, b: int
) -> None:
    assert apply(name, [np.array([a]), np.array([b])], [1])[0] == word(meaning(a, b))


@given(a=WORD, count=COUNT)
def test_shifts_are_by_powers_of_two(a: int, count: int) -> None:
    inputs = [np.array([a]), np.array([count])]
    assert apply("shl", inputs, [1])[0] == word(a << count)
    assert apply("sar", inputs, [1])[0] == a >> count
    assert apply("shr", inputs, [1])[0] == word((a % 2**64) >> count)


@given(a=WORD)
def test_counts_beyond_the_width_shift_everything_out(a: int) -> None:
    for count in (64, 65, 1000, 2**63 - 1):
        inputs = [np.array([a]), np.array([count])]
        assert apply("shl", inputs, [1])[0] == 0
        assert apply("shr", inputs, [1])[0] == 0
        assert apply("sar", inputs, [1])[0] == (-1 if a < 0 else 0)


@given(a=WORD)
def test_casts_keep_the_low_byte_or_whether_there_is_anything(a: int) -> None:
    assert apply("cast", [np.array([a])], [1], "u1")[0] == a % 256
    assert apply("cast", [np.array([a])], [1], "b1")[0] == (a != 0)
    assert apply("not", [np.array([a])], [1])[0] == -1 - a


@given(a=WORD, b=WORD, c=st.booleans())
def test_select_takes_the_first_where_the_bit_is_set(a: int, b: int, c: bool) -> None:
    assert apply("select", [np.array([c]), np.array([a]), np.array([b])], [1])[0] == (a if c else b)


@given(st.lists(WORD, min_size=6, max_size=6), st.lists(WORD, min_size=6, max_size=6))
def test_a_product_of_matrices_and_a_sum_wrap_around(a: list[int], b: list[int]) -> None:
    left, right = np.array(a).reshape(2, 3), np.array(b).reshape(3, 2)
    got = apply("matmul", [left, right], [2, 2])
    for i in range(2):
        for j in range(2):
            assert got[i, j] == word(sum(a[3 * i + k] * b[2 * k + j] for k in range(3)))
    assert apply("sum", [left], [2], axes=[1], keep=False).tolist() == [word(sum(a[:3])), word(sum(a[3:]))]
    assert apply("sum", [left], [1, 1], axes=[0, 1], keep=True)[0, 0] == word(sum(a))


@given(st.integers(1, 3), st.integers(1, 20), st.data())
def test_bit_k_of_a_word_lies_in_plane_k_eight_words_to_a_byte(rows: int, count: int, data: st.DataObject) -> None:
    x = np.array(data.draw(st.lists(WORD, min_size=rows * count, max_size=rows * count))).reshape(rows, count)
    size = -(-count // 8)
    planes = apply("bitslice", [x], [64, ROWS, size], "u1", rows)
    for k in (0, 1, 7, 8, 31, 32, 62, 63):
        for row in range(rows):
            for i in range(8 * size):
                wanted = (int(x[row, i]) >> k) & 1 if i < count else 0
                assert planes[k, row, i // 8] >> (i % 8) & 1 == wanted
        bits = apply("bitunslice", [planes[k : k + 1]], [ROWS, count], "b1", rows)
        assert (bits == ((x >> k) & 1)).all()


def test_patches_are_the_windows_of_a_convolution_in_order() -> None:
    x = np.arange(2 * 5 * 4 * 3).reshape(2, 5, 4, 3)
    got = apply("patches", [x], [ROWS, 2, 3, 3 * 2 * 3], kernel=[3, 2], strides=[2, 1])
    for i in range(2):
        for j in range(3):
            assert np.array_equal(got[:, i, j], x[:, 2 * i : 2 * i + 3, j : j + 2].reshape(2, -1))


def test_slices_drop_axes_and_step() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    attrs = {"start": [0, 1, 0], "stop": [None, 2, None], "step": [1, 1, 2], "drop": [1]}
    assert np.array_equal(apply("slice", [x], [ROWS, 2], **attrs), x[:, 1, ::2])


def test_a_value_that_is_not_of_the_shape_or_type_of_its_node_is_an_error() -> None:
    with pytest.raises(ValueError, match="gave int64"):
        apply("add", [np.zeros((2, 3), np.int64)] * 2, [ROWS, 4])
    with pytest.raises(ValueError, match="gave"):
        apply("xor", [np.zeros(2, np.uint8)] * 2, [2], "i8")


def test_an_operation_that_is_not_in_the_list_is_an_error() -> None:
    assert "divide" not in OPS
    with pytest.raises(ValueError, match="divide"):
        apply("divide", [np.ones(1, np.int64)] * 2, [1])


def test_every_type_has_an_array_type() -> None:
    assert [np.dtype(NUMPY[d]).itemsize for d in ("i8", "u1", "b1")] == [8, 1, 1]
