"""What came of tests, counted for each promise that names them."""

from __future__ import annotations

from datetime import date

from tests.promises.table import HEAD, promises, with_results

PAGE = f"""# Title

{HEAD}| one | the code | tests/unit/a, tests/unit/b.py::test_x | not run yet |
| two | nobody | tests/unit/c.py | 2020-02-02: 7 passed |

More.
"""

OUTCOMES = {
    "tests/unit/a/test_a.py::test_1": "passed",
    "tests/unit/ab/test_a.py::test_1": "failed",
    "tests/unit/b.py::test_x[1]": "passed",
    "tests/unit/b.py::test_x[2]": "failed",
    "tests/unit/b.py::test_x_too": "failed",
}


def test_each_promise_gets_the_results_of_its_own_tests() -> None:
    first, second = promises(with_results(PAGE, promises(PAGE), OUTCOMES, date(2026, 1, 2)))
    assert first.result == "2026-01-02: 1 failed, 2 passed"
    assert second.result == "not run yet"


def test_nothing_else_changes() -> None:
    after = with_results(PAGE, promises(PAGE)[:1], OUTCOMES, date(2026, 1, 2)).splitlines()
    before = PAGE.splitlines()
    assert [number for number, line in enumerate(after) if line != before[number]] == [4]
    assert len(after) == len(before)
