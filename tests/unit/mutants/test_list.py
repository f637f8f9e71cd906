"""The list of mutants fits the tree as it is: a breakage that cannot be made any more shows nothing."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.mutant import ROOT, Mutant, Stale, read
from tests.mutants.outcome import Outcome, outcome

MUTANTS = read()


@cache
def functions(path: Path) -> set[str]:
    """What a test file defines at its top: functions, classes, and names that something is assigned to."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_changes_what_stands_in_the_tree_once_and_its_tests_exist(mutant: Mutant) -> None:
    broken = mutant.broken((ROOT / mutant.file).read_text())
    if mutant.file.endswith(".py"):
        ast.parse(broken)  # a file that cannot be read is caught by any test
    assert mutant.new != mutant.old
    assert mutant.loses.endswith(".")
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert name in functions(ROOT / file), test


def test_a_text_that_is_not_there_or_is_there_twice_is_stale() -> None:
    mutant = Mutant("m", "f.py", "a = 1", "a = 2", "All.", ("t.py::test",))
    assert mutant.broken("x\na = 1\n") == "x\na = 2\n"
    for source in ("b = 1", "a = 1\na = 1"):
        with pytest.raises(Stale, match=r"its old text stands in f\.py"):
            mutant.broken(source)


TESTS = ("t.py::test_a", "t.py::test_b")


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (1, "FAILED t.py::test_a - assert 1 == 2\nFAILED t.py::test_b[x - y] - ValueError\n2 failed", Outcome.CAUGHT),
        (1, "FAILED t.py::test_a\nFAILED t.py::test_b::runTest - Failed", Outcome.CAUGHT),
        (1, "FAILED t.py::test_a - assert False\n1 failed, 1 passed", Outcome.SURVIVED),
        (1, "FAILED t.py::test_a\nFAILED t.py::test_bc\n", Outcome.SURVIVED),
        (1, "ERROR t.py::test_a\nERROR t.py::test_b\n2 errors", Outcome.SURVIVED),
        (0, "2 passed", Outcome.SURVIVED),
        (2, "interrupted: 1 error during collection", Outcome.NOT_RUN),
        (4, "not found", Outcome.NOT_RUN),
        (-9, "", Outcome.NOT_RUN),
        (-11, "Segmentation fault", Outcome.CAUGHT),
        (None, "", Outcome.TIMED_OUT),
    ],
)
def test_a_mutant_is_caught_if_all_its_tests_fail_and_by_nothing_else(
    code: int | None, said: str, expected: Outcome
) -> None:
    assert outcome(TESTS, code, said) is expected
