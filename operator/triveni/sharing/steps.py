"""What the sharing job says while it works: a JSON line for each step. Never a weight, never a share."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any


class Steps:
    """Prints ``{"step": ..., "seconds": ...}`` for each step, with the time since the one before."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()

    def done(self, step: str, details: Mapping[str, Any]) -> None:
        """A step is done."""
        now = time.monotonic()
        line = {"step": step, "seconds": round(now - self._last, 3), **details}
        self._last = now
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return round(time.monotonic() - self._started, 3)
