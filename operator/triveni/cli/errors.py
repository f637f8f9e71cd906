"""What the user is told when something is wrong, and the exit code that goes with it: in one place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from triveni.api.manifest import InvalidManifest
from triveni.cli.exit_codes import FAILED, INTERRUPTED, USAGE


@dataclass(eq=False)
class CommandFailed(Exception):
    """A command cannot do what was asked: `message` for people, and the exit code."""

    message: str
    code: int = FAILED

    def __str__(self) -> str:
        return self.message


def bad_input(message: str) -> CommandFailed:
    """Something that the user gave is wrong."""
    return CommandFailed(message, USAGE)


@contextmanager
def told() -> Iterator[None]:
    """Run a command's body: what goes wrong in it is told in plain lines on standard error, then the process ends.

    Raises:
        typer.Exit: with the exit code.
    """
    try:
        yield
    except CommandFailed as error:
        _tell(error, error.code)
    except InvalidManifest as error:
        _tell(error, USAGE)
    except KeyboardInterrupt:
        _tell("interrupted", INTERRUPTED)


def _tell(error: object, code: int) -> None:
    sys.stderr.write(f"triveni: {error}\n")
    raise typer.Exit(code)
