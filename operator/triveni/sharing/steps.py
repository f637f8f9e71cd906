"""What the sharing job says while it works: a JSON line for each step. Never a weight, never a share."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

INTERVAL_S = 0.5
"""Between two lines about the same download: enough for a person who watches, and no flood in a log."""


class Steps:
    """Prints ``{"step": ..., "seconds": ...}`` for each step, with the time since the one before.

    A download is told while it goes on: ``{"fetching": {"bytes": ..., "total": ...}}``, and
    ``{"trying again": {"problem": ..., "bytes": ..., "seconds": ...}}`` before each try after the first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = self._last = clock()
        self._quiet_until = self._started

    def done(self, step: str, details: Mapping[str, Any]) -> None:
        """A step is done."""
        now = self._clock()
        line = {"step": step, "seconds": round(now - self._last, 3), **details}
        self._last = now
        _print(line)

    def fetching(self, done: int, total: int | None) -> None:
        """`done` bytes of `total` are here; said at most every `INTERVAL_S`, and when it is all."""
        now = self._clock()
        if now >= self._quiet_until or done == total:
            self._quiet_until = now + INTERVAL_S
            _print({"fetching": {"bytes": done, "total": total}})

    def trying_again(self, problem: str, done: int, seconds: float) -> None:
        """A download broke; it goes on in `seconds`."""
        self._quiet_until = self._clock()
        _print({"trying again": {"problem": problem, "bytes": done, "seconds": seconds}})

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return round(self._clock() - self._started, 3)


def _print(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
