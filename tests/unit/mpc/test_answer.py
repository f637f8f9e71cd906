"""The layers that the client computes on the revealed answer."""

from __future__ import annotations

import numpy as np
import pytest

from triveni.mpc.answer import CLIENTS_LAYERS, finished, sigmoid, softmax
from triveni.mpc.architecture import CLIENTS


def test_every_clients_layer_of_an_architecture_is_computed() -> None:
    assert set(CLIENTS_LAYERS) == {kind.__name__ for kind in CLIENTS}


@pytest.mark.parametrize("size", [1, 3])
def test_a_softmax_adds_up_to_one_and_overflows_for_no_logit(size: int) -> None:
    x = np.random.default_rng(0).uniform(-(2.0**22), 2.0**22, (5, size))
    assert np.isfinite(softmax(x)).all()
    np.testing.assert_allclose(softmax(x).sum(axis=-1), 1)


def test_a_sigmoid_is_the_logistic_function_and_overflows_for_no_logit() -> None:
    x = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(sigmoid(x), 1 / (1 + np.exp(-x)))
    assert (sigmoid(np.array([-(2.0**22), 2.0**22])) == [0, 1]).all()


def test_without_such_a_layer_the_answer_is_as_it_is() -> None:
    x = np.ones((2, 2))
    assert finished(x, None) is x
