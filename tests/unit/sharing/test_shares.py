"""Splitting a model's weights."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.sharing.keras_files import array
from triveni.mpc.architecture import Architecture, AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, Flatten
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.input_range import InputRange
from triveni.mpc.lowering import lower
from triveni.mpc.sharing import reveal
from triveni.sharing.failures import UnsupportedLayer, ValueOutOfRange, ValuesDoNotFit
from triveni.sharing.keras_file import KerasModel
from triveni.sharing.shares import ModelShares, split_model

ARCHITECTURE = Architecture(
    (8, 8, 1),
    (Conv2D("conv", 2, (3, 3)), AveragePooling2D("pool", (2, 2), (2, 2)), Flatten("flatten"), Dense("logits", 4)),
)


def model(kernel: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None) -> KerasModel:
    conv = (array(3, 3, 1, 2) if kernel is None else kernel, array(2))
    return KerasModel(ARCHITECTURE, {"conv": conv, "logits": (array(18, 4), array(4))})


def component(
    shares: ModelShares, name: str, number: int, holder: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return next(t.data for t in shares.tensors[holder] if t.name == f"{name}/component_{number}")


def test_the_three_components_of_each_weight_add_up_to_it() -> None:
    shares = split_model(model(), "ABY3")
    expected = lower(ARCHITECTURE).encode(model().weights)
    for name, values in expected.items():
        words = reveal(*(component(shares, name, c, holder=c) for c in range(3)))
        np.testing.assert_allclose(fixed_point("ABY3").decode(words), values, atol=2**-20)


def test_each_worker_gets_its_two_components_of_each_weight_and_no_more() -> None:
    shares = split_model(model(), "ABY3")
    names = ["conv/kernel", "conv/bias", "logits/kernel", "logits/bias"]
    for party, tensors in enumerate(shares.tensors):
        assert [t.name for t in tensors] == [
            f"{name}/component_{c}" for name in names for c in (party, (party + 1) % 3)
        ]


def test_in_securenn_workers_0_and_1_get_a_component_each_and_worker_2_nothing() -> None:
    shares = split_model(model(), "SecureNN")
    assert [len(tensors) for tensors in shares.tensors] == [4, 4, 0]
    for name, values in lower(ARCHITECTURE).encode(model().weights).items():
        words = reveal(*(component(shares, name, c, holder=c) for c in range(2)))
        np.testing.assert_allclose(fixed_point("SecureNN").decode(words), values, atol=2**-16)


def test_for_a_declared_range_it_is_known_what_values_can_be() -> None:
    inputs = InputRange(0.0, 1.0)
    shares = split_model(model(), "ABY3", inputs)
    assert shares.inputs == inputs
    assert shares.ranges is not None
    assert {reach.layer for reach in shares.ranges.reaches} == {"conv", "logits"}
    assert (split_model(model(), "ABY3").inputs, split_model(model(), "ABY3").ranges) == (None, None)


def test_a_model_whose_values_may_not_fit_is_refused_and_without_a_range_it_is_not() -> None:
    kernel = np.full((3, 3, 1, 2), 1000.0, np.float32)
    split_model(model(kernel), "ABY3")
    split_model(model(kernel), "ABY3", InputRange(0.0, 1.0))
    with pytest.raises(ValuesDoNotFit, match=r"layer 'conv': with inputs from 0 to 1000, a product may be as large as"):
        split_model(model(kernel), "ABY3", InputRange(0.0, 1000.0))


def test_in_securenn_a_weight_above_128_is_too_large() -> None:
    kernel = np.full((3, 3, 1, 2), 128.5, np.float32)
    assert split_model(model(kernel), "ABY3")
    with pytest.raises(ValueOutOfRange, match="at most ±128 can be carried"):
        split_model(model(4 * kernel), "SecureNN")


def test_the_two_holders_of_a_component_get_the_same() -> None:
    shares = split_model(model(), "ABY3")
    for c in range(3):
        np.testing.assert_array_equal(
            component(shares, "logits/kernel", c, holder=c), component(shares, "logits/kernel", c, holder=(c - 1) % 3)
        )


def test_no_share_of_a_worker_is_a_weight_and_none_is_used_twice() -> None:
    plain = set(
        fixed_point("ABY3").encode(lower(ARCHITECTURE).encode(model().weights)["logits/kernel"], "w").ravel().tolist()
    )
    seen: set[int] = set()
    for shares in (split_model(model(), "ABY3") for _ in range(10)):
        words = {word for tensor in shares.tensors[1] for word in tensor.data.ravel().tolist()}
        assert not words & (plain | seen)
        seen |= words


def test_a_weight_that_is_too_large_is_named_and_not_shown() -> None:
    kernel = np.zeros((3, 3, 1, 2), np.float32)
    kernel[0, 0, 0, 1] = 987654.0
    with pytest.raises(ValueOutOfRange, match=r"conv/kernel\[0, 0, 0, 1\] is too large") as error:
        split_model(model(kernel), "ABY3")
    assert "9876" not in f"{error.value} {error.value!r}"


def test_a_network_that_cannot_be_lowered_is_refused() -> None:
    """Its kernel has 3 * 3 * 1500 weights, but with the zeros between channels more than are served."""
    large = KerasModel(Architecture((3, 3, 1500), (DepthwiseConv2D("depthwise", (3, 3)),)), {})
    with pytest.raises(UnsupportedLayer, match="layer 'depthwise': it is computed with more than"):
        split_model(large, "ABY3")


def test_no_repr_shows_a_share() -> None:
    assert "array" not in repr(split_model(model(), "ABY3"))
