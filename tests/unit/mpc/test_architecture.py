"""Architectures: shapes, canonical bytes, strict reading."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from triveni.api import securemodel
from triveni.mpc.architecture import (
    MAX_ANSWER_BITS,
    Architecture,
    AveragePooling2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    InvalidArchitecture,
    Layer,
    Relu,
    Reshape,
)
from triveni.mpc.fixedpoint import FIXED_POINT

NET = Architecture(
    (28, 28, 1),
    (
        Conv2D("conv", 10, (3, 3)),
        AveragePooling2D("pool", (2, 2), (2, 2)),
        Relu("relu"),
        Flatten("flat"),
        Dense("logit", 10, use_bias=False),
    ),
)


def test_shapes_follow_the_layers() -> None:
    assert [after for _, _, after in NET.walk()] == [(26, 26, 10), (13, 13, 10), (13, 13, 10), (1690,), (10,)]
    assert NET.output_shape == (10,)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads", "out"),
    [(28, 3, 1, (1, 1), 28), (28, 3, 2, (0, 1), 14), (9, 5, 3, (1, 1), 3), (4, 1, 2, (0, 0), 2)],
)
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int, pads: tuple[int, int], out: int) -> None:
    layer = Conv2D("c", 1, (kernel, kernel), (stride, stride), "same")
    assert layer.pads((size, size, 1)) == (pads, pads)
    assert layer.output_shape([(size, size, 1)]) == (out, out, 1)


def test_the_bytes_are_canonical_and_read_back() -> None:
    assert Architecture.from_json(NET.to_json()) == NET
    shuffled = json.dumps(json.loads(NET.to_json()), indent=1)
    assert Architecture.from_json(shuffled.encode()).digest == NET.digest


def test_how_many_bits_of_an_answer_are_given_is_part_of_it_and_left_out_where_it_is_all() -> None:
    rounded = replace(NET, answer_bits=8)
    assert rounded.document() == NET.document() | {"answer": {"fractional_bits": 8}}
    assert Architecture.from_json(rounded.to_json()) == rounded
    assert "answer" not in NET.document()
    assert len({NET.digest, rounded.digest, replace(NET, answer_bits=9).digest}) == 3


@pytest.mark.parametrize("bits", [-1, MAX_ANSWER_BITS + 1])
def test_bits_of_an_answer_that_no_protocol_has_are_refused(bits: int) -> None:
    with pytest.raises(InvalidArchitecture, match="fractional_bits must be 0 to 16"):
        replace(NET, answer_bits=bits)


def test_a_specs_and_an_architectures_most_bits_are_the_same_and_every_protocol_has_them() -> None:
    assert MAX_ANSWER_BITS == securemodel.MAX_ANSWER_BITS == min(n.fractional_bits for n in FIXED_POINT.values())


def test_another_architecture_has_another_digest() -> None:
    assert Architecture((28, 28, 1), NET.layers[:-1]).digest != NET.digest


@pytest.mark.parametrize(
    ("shape", "layers", "message"),
    [
        ((4,), (), "at least one layer"),
        ((4,), (Conv2D("c", 1, (3, 3)),), "needs an image"),
        ((2, 2, 1), (Conv2D("c", 1, (3, 3)),), "larger than the image"),
        ((4,), (Reshape("r", (5,)),), "cannot be reshaped"),
        ((4,), (Relu("r"), Relu("r")), "same name"),
        ((4,), (GlobalAveragePooling2D("g"),), "needs an image"),
        ((2**12, 2**12, 2), (Relu("r"),), "elements are served"),
        ((4096,), (Dense("d", 2**13),), "elements are served"),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_name(
    shape: tuple[int, ...], layers: tuple[Layer, ...], message: str
) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        Architecture(shape, layers)


def _change(**changes: Any) -> dict[str, Any]:
    document = json.loads(NET.to_json())
    document["layers"][0] |= changes
    return document


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {**json.loads(NET.to_json()), "extra": 1},
        {**json.loads(NET.to_json()), "answer": None},
        {**json.loads(NET.to_json()), "answer": {}},
        {**json.loads(NET.to_json()), "answer": {"fractional_bits": 17}},
        {**json.loads(NET.to_json()), "answer": {"fractional_bits": True}},
        {**json.loads(NET.to_json()), "answer": {"fractional_bits": 8, "more": 1}},
        {**json.loads(NET.to_json()), "format": "v0"},
        {**json.loads(NET.to_json()), "layers": {}},
        {**json.loads(NET.to_json()), "input": [28, -1, 1]},
        {**json.loads(NET.to_json()), "input": [28.0, 28, 1]},
        _change(kind="Lambda"),
        _change(filters=True),
        _change(filters="10"),
        _change(kernel_size=[3]),
        _change(padding="reflect"),
        _change(use_bias=1),
        _change(dilation=[2, 2]),
        _change(inputs=[]),
        _change(inputs="(input)"),
    ],
)
def test_a_document_that_is_not_exactly_an_architecture_is_refused(document: Any) -> None:
    with pytest.raises(InvalidArchitecture):
        Architecture.from_json(json.dumps(document).encode())


def test_bytes_that_are_not_json_are_refused() -> None:
    for data in (b"\xff", b"{", b"[" * 100_000):
        with pytest.raises(InvalidArchitecture, match="not JSON"):
            Architecture.from_json(data)
