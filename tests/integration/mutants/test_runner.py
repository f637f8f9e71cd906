"""The runner on a tree of three files: what it says and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.__main__ import main

LIST = """
[[mutant]]
name = "two is three"
file = "sums.py"
old = "TWO = 2"
new = "TWO = 3"
loses = "Sums."
tests = ["test_sums.py::test_two"]

[[mutant]]
name = "four is five"
file = "sums.py"
old = "FOUR = 4"
new = "FOUR = 5"
loses = "More sums."
tests = ["test_sums.py::test_four"]
"""

TESTS = """
import pathlib

sums = {}
exec(pathlib.Path("sums.py").read_text(), sums)

def test_two():
    assert sums["TWO"] == 2

def test_four():
    assert sums["FOUR"] > 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/sums.py").write_text("TWO = 2\nFOUR = 4\n")
    (tmp_path / "tree/test_sums.py").write_text(TESTS)
    (tmp_path / "mutants.toml").write_text(LIST)
    return tmp_path


def run(project: Path, *arguments: str) -> int:
    return main([f"--lists={project}", f"--root={project / 'tree'}", *arguments])


def test_a_mutant_that_survives_is_named_and_an_error_and_the_tree_is_as_it_was(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project) == 1
    said = capsys.readouterr().out
    assert "| two is three | Sums. | test_sums.py::test_two |" in said
    assert "| four is five | More sums. | **SURVIVED** |" in said
    assert "SURVIVED: four is five (sums.py)" in said
    assert said.endswith("1 of 2 mutants are caught\n")
    assert (project / "tree/sums.py").read_text() == "TWO = 2\nFOUR = 4\n"


def test_tests_that_fail_without_any_mutant_show_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (project / "tree/test_sums.py").open("a") as file:
        file.write("    assert False\n")
    assert run(project, "-k", "four") == 2
    assert "the tests do not pass without any breakage" in capsys.readouterr().err


def test_a_list_that_does_not_fit_the_tree_is_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tree/sums.py").write_text("TWO = 2\n")
    assert run(project) == 2
    assert "'four is five': its old text stands in sums.py 0 times" in capsys.readouterr().err
    assert run(project, "-k", "seven") == 2
