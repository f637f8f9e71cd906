"""What the sharing job says: a JSON line for each step, and one report at its end. Never a weight, never a share."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
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


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report so that a reader finds all of it or nothing; OSError if it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(report) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
