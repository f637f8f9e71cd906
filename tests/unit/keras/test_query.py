"""Shapes that a client names, and the order of its answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from triveni.keras.errors import NothingAsked, WrongShape
from triveni.keras.query import Query, Shape, require_shape


@pytest.mark.parametrize(
    ("got", "expected"),
    [((1, 28, 28, 1), (None, 28, 28, 1)), ((None, 10), (None, 10)), ((5, 3), (5, 3)), ((5, 3), (None, 3))],
)
def test_the_rows_may_be_left_open(got: Shape, expected: Shape) -> None:
    require_shape("x", got, expected)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ((28, 28, 1), (None, 28, 28, 1)),
        ((1, 28, 28), (None, 28, 28, 1)),
        ((1, None), (None, 10)),
        ((2, 10), (1, 10)),
        ((), (None,)),
    ],
)
def test_another_shape_is_refused_with_both(got: Shape, expected: Shape) -> None:
    with pytest.raises(WrongShape) as raised:
        require_shape("data", got, expected)
    assert str(raised.value) == f"data is {got}, and the served model has {expected}"


class Predicting:
    """Answers with what it was asked, the first question last."""

    def __init__(self) -> None:
        self.second_is_answered = threading.Event()

    def predict(self, x: Any) -> Any:
        if x[0] == 1:
            assert self.second_is_answered.wait(10)
        else:
            self.second_is_answered.set()
        return x


@pytest.fixture
def query() -> Iterator[Query]:
    with ExitStack() as stack:
        yield Query(Predicting(), (1,), stack)  # type: ignore[arg-type]


def test_answers_are_joined_in_the_order_of_the_questions(query: Query) -> None:
    first, second = query.ask_later(np.array([1])), query.ask_later(np.array([2]))
    assert query.join() == first.result()
    assert query.join() == second.result() == 2


def test_there_is_nothing_to_join_before_something_is_asked(query: Query) -> None:
    with pytest.raises(NothingAsked):
        query.join()


def test_data_of_another_shape_is_not_sent(query: Query) -> None:
    with pytest.raises(WrongShape, match="data is"):
        query.ask([1, 2])
