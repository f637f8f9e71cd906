"""The threat model: each promise names tests, and those are there."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT
from tests.promises.table import HEAD, NEVER, PAGE, Promise, promises

PROMISES = promises(PAGE.read_text())

NAMED = sorted({test for promise in PROMISES for test in promise.tests})

RESULT = re.compile(rf"\d{{4}}-\d\d-\d\d: \d+ passed|{NEVER}")


@cache
def functions(path: str) -> set[str]:
    """The functions at the top of a file."""
    nodes = ast.parse((ROOT / path).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_both_tables_are_read() -> None:
    assert PAGE.read_text().count(HEAD) == 2
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


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.sentence)
def test_a_promise_says_what_came_of_its_tests(promise: Promise) -> None:
    """`make promises` writes it; no failed test is told without somebody looking."""
    assert RESULT.fullmatch(promise.result)
