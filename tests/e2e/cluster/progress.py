"""What is being done and how long it took, for the person who waits: one line for each step, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say `what`, and at its end how long it took."""
    begun = time.monotonic()
    say(f"{what} ...")
    yield
    seconds = time.monotonic() - begun
    if seconds >= 1:
        say(f"{what}: {seconds:.1f} s")


def say(text: str) -> None:
    """One line, with the time of day: two clusters may come up at once."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stderr.flush()
