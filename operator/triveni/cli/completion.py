"""Completion: the script for a shell, and the answers that kubectl asks its plugins for."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Sequence

PROGRAM = "triveni"

COMPLETE = "_TRIVENI_COMPLETE"
"""The variable by which a shell's script asks."""

NO_FILES, FILES = ":4", ":0"
"""What kubectl is to do besides: nothing, or to complete the names of files."""


def script(shell: str) -> str:
    """The script that a shell sources: typer's, for `triveni`."""
    return _asked(f"source_{shell}", {})


def suggestions(words: Sequence[str]) -> list[str]:
    """What may stand in place of the last of `words`, which follow the program's name."""
    line = " ".join(shlex.quote(word) if word else "''" for word in (PROGRAM, *words))
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    return _asked("complete_bash", variables).split()


def for_kubectl() -> None:
    """`kubectl_complete-triveni WORDS...`: what kubectl calls to complete `kubectl triveni WORDS...`."""
    found = suggestions(sys.argv[1:] or [""])
    sys.stdout.write("\n".join([*found, NO_FILES if found else FILES]) + "\n")


def _asked(instruction: str, variables: dict[str, str]) -> str:
    """What the command line answers to a shell's script."""
    from triveni.cli.app import app

    said = io.StringIO()
    asked = {COMPLETE: instruction, **variables}
    before = {name: os.environ.get(name) for name in asked}
    os.environ.update(asked)
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            app(prog_name=PROGRAM)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return said.getvalue()
