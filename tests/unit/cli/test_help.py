"""What --help says of each command, and how soon."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.cli.cli import same_as_golden, triveni
from triveni.cli.app import COMMANDS
from triveni.cli.exit_codes import EXIT_CODES, MEANINGS


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("command", ["", *(command.__name__ for command in COMMANDS)])
def test_help_is_as_in_the_golden_file_and_names_the_exit_codes(command: str) -> None:
    told = triveni(*([command] if command else []), "--help")
    assert told.code == 0
    assert EXIT_CODES in " ".join(told.out.split())
    same_as_golden(f"help-{command or 'triveni'}.txt", told.out)


def test_exit_codes_are_told_apart() -> None:
    assert len(set(MEANINGS.values())) == len(MEANINGS)


def test_help_loads_nothing_that_takes_its_time() -> None:
    heavy = ["numpy", "rich", "pydantic", "aiohttp", "yaml", "kubernetes", "cryptography", "PIL"]
    script = f"import sys, triveni.cli.app; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "\n"
