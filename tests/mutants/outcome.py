"""What came of the tests under a mutant, read from what pytest says."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from enum import Enum

_FAILED = re.compile(r"^FAILED (?P<node>\S+?)(?:\[.*)?(?: - .*)?$", re.MULTILINE)

TESTS_FAILED = 1
"""pytest's exit code where tests ran and some failed; others mean that they did not run."""

CRASHES = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT}
"""How a process ends whose memory was written over."""


class Outcome(Enum):
    """Whether a mutant was caught."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    NOT_RUN = "TESTS DID NOT RUN"
    TIMED_OUT = "TIMED OUT"


def outcome(tests: Sequence[str], code: int | None, said: str) -> Outcome:
    """What pytest's exit code (None: it took too long) and its short summary mean for a mutant with these tests.

    Each of the tests has to fail: one that does not would stand in the table without a reason.
    """
    if code is None:
        return Outcome.TIMED_OUT
    if code in CRASHES:
        return Outcome.CAUGHT
    if code not in (0, TESTS_FAILED):
        return Outcome.NOT_RUN
    failed = {match["node"] for match in _FAILED.finditer(said)}
    caught = all(any(node == test or node.startswith(f"{test}::") for node in failed) for test in tests)
    return Outcome.CAUGHT if caught else Outcome.SURVIVED
