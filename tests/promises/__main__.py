"""``make promises``: run every test that docs/threat-model.md names, and write there what came of it.

pytest's exit code. Nothing is written if it was broken off.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from tests.promises.table import PAGE, promises, with_results


class Outcomes:
    """A plugin of pytest that keeps what came of each test: the worst of its set-up, itself and its tear-down."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed" or report.nodeid not in self.of:
            self.of[report.nodeid] = report.outcome


def main() -> int:
    """Run them; pytest's exit code."""
    outcomes = Outcomes()
    tests = sorted({test for one in promises(PAGE.read_text()) for test in one.tests})
    code = pytest.main(tests, plugins=[outcomes])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        PAGE.write_text(with_results(PAGE.read_text(), outcomes.of, datetime.now(UTC).date()))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
