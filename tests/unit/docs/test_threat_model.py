"""The threat model: each promise names tests, and those are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/threat-model.md").read_text()

HEAD = "| promise | by | test |"

LAST_RUN = re.compile(
    r"^Last run of all that is named here: (?:not recorded yet|\d{4}-\d\d-\d\d, .*\d+ passed.*)\.$", re.MULTILINE
)


def promises() -> Iterator[tuple[str, list[str]]]:
    """Each promise of the page's tables, and the tests that it names."""
    for table in PAGE.split(HEAD)[1:]:
        for row in table.split("\n\n")[0].strip().splitlines()[1:]:
            promise, _, tests = (cell.strip() for cell in row.strip("|").split("|"))
            yield promise, tests.split(", ")


@cache
def functions(path: str) -> set[str]:
    """The functions at the top of a file."""
    nodes = ast.parse((ROOT / path).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


PROMISES = dict(promises())

NAMED = sorted({test for tests in PROMISES.values() for test in tests})


def test_both_tables_are_read() -> None:
    assert PAGE.count(HEAD) == 2
    assert len(PROMISES) >= 20


@pytest.mark.parametrize("test", NAMED)
def test_a_test_that_a_promise_names_is_there(test: str) -> None:
    """A folder, a file, or a function of a file."""
    path, _, name = test.partition("::")
    found = ROOT / path
    assert path.startswith("tests/"), test
    if name:
        assert name in functions(path)
    else:
        assert found.is_file() or list(found.glob("*.py"))


def test_the_page_says_when_its_tests_were_last_run() -> None:
    assert len(LAST_RUN.findall(PAGE)) == 1
