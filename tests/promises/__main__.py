"""``make promises``: run every test that docs/threat-model.md names, and write there what came of it.

Words take the promises alone in whose sentence they stand: ``make promises ARGS="every mask"``. Exit code as pytest's;
nothing is written if it was broken off.
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
    words, outcomes = " ".join(sys.argv[1:]), Outcomes()
    chosen = [one for one in promises(PAGE.read_text()) if words in one.sentence]
    if not chosen:
        sys.stderr.write(f"promises: {words!r} stands in no sentence of {PAGE.name}\n")
        return int(pytest.ExitCode.USAGE_ERROR)
    code = pytest.main(sorted({test for one in chosen for test in one.tests}), plugins=[outcomes])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        PAGE.write_text(with_results(PAGE.read_text(), chosen, outcomes.of, datetime.now(UTC).date()))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
