"""The shell that the commands of the documentation are run in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.shell import Shell


@pytest.mark.parametrize(("command", "status"), [("true", 0), ("(exit 4)", 4), ("false | true", 1)])
def test_a_commands_exit_code_is_its_own(tmp_path: Path, command: str, status: int) -> None:
    with Shell(tmp_path, dict(os.environ)) as shell:
        assert shell.run(command, 20)[0] == status
        assert shell.run("echo still here", 20) == (0, "still here\n")
