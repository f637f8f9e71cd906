"""The command line as the tests call it, and the golden files that its output is compared with."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from triveni.cli.app import app

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Told:
    """What a command ended with, and what it wrote."""

    code: int
    out: str
    err: str


def triveni(*arguments: object, stdin: bytes | None = None) -> Told:
    """Run it in this process."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Told(result.exit_code, result.stdout, result.stderr)


async def beside(*arguments: object, stdin: bytes | None = None) -> Told:
    """The same, beside this event loop."""
    return await asyncio.to_thread(triveni, *arguments, stdin=stdin)


def same_as_golden(name: str, text: str) -> None:
    """Compare with a golden file; UPDATE_GOLDEN=1 writes it instead."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
