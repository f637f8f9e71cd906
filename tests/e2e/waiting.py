"""Waiting for what a cluster does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.e2e.tools import ToolFailed

T = TypeVar("T")

_EVERY = 0.25


def eventually(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Ask `condition` again and again until it answers something true, and return that.

    An assertion in it that does not hold yet, or an object that is not there yet, is a no like any other. After
    `seconds` the test fails, with `what` should have happened and the last no; what the cluster looks like then is
    added to every test that fails here.
    """
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            if answer := condition():
                return answer
            last = answer
        except (AssertionError, ToolFailed) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}. The last answer: {last}")
        time.sleep(_EVERY)


def throughout(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Ask `condition` again and again for `seconds`, and have it true every time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"not any more: {what}"
        time.sleep(_EVERY)
