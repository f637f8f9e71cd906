"""What the user is told when something is wrong, and the exit code that goes with it: in one place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from triveni.cli.exit_codes import CLOSED, FAILED, INTERRUPTED, USAGE


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
        try:
            yield
        finally:
            sys.stdout.flush()
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _tell("interrupted", INTERRUPTED)
    except BrokenPipeError:
        drop_output()
        raise typer.Exit(CLOSED) from None
    except Exception as error:
        from triveni.cli.failures import failure_of  # knows the errors of all rooms, so it imports them

        failure = failure_of(error)
        if failure is None:
            raise
        _tell(failure, failure.code)


def drop_output() -> None:
    """Nobody reads the output any more: what is still written to it goes nowhere, without a word."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _tell(error: object, code: int) -> None:
    sys.stderr.write(f"triveni: {error}\n")
    raise typer.Exit(code) from None
