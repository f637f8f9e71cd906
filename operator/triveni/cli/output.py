"""What goes to standard output, and how: JSON lines for programs, aligned columns for people, colours for terminals.

Progress goes to standard error, so that what is piped on is the data alone. rich leaves colours out where there is no
terminal, or NO_COLOR is set.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

GAP = 3
"""Blanks between two columns."""


class Screen(Console):
    """A console that leaves a broken pipe to whoever runs the command."""

    def on_broken_pipe(self) -> None:
        """Called while the error is handled."""
        raise BrokenPipeError


def screen() -> Screen:
    """Standard output. Lines are never broken or cut where no terminal limits them."""
    console = Screen(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 10_000
    return console


@contextmanager
def progress(what: str) -> Iterator[None]:
    """A moving line on standard error as long as the block lasts, where that is a terminal."""
    aside = Screen(stderr=True)
    if not aside.is_terminal:
        yield
        return
    with aside.status(f"{what} ..."):
        yield


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar of progress on standard error, where that is a terminal; what is yielded moves it on by one."""
    from rich.progress import Progress

    aside = Screen(stderr=True)
    # rich would take standard output for its own otherwise, and write to standard error what is meant for a pipe.
    with Progress(
        console=aside,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not aside.is_terminal,
    ) as shown:
        task = shown.add_task(what, total=total)
        yield lambda: shown.advance(task)


def json_line(document: Mapping[str, Any]) -> None:
    """A document as one line, at once."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def columns(rows: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> list[str]:
    """Rows of cells as aligned lines; a column is at least as wide as `widths` says."""
    count = max((len(row) for row in rows), default=0)
    least = [*widths, *[0] * count]
    wide = [max(least[at], *(len(row[at]) for row in rows if at < len(row)), 0) for at in range(count)]
    return [(" " * GAP).join(cell.ljust(wide[at]) for at, cell in enumerate(row)).rstrip() for row in rows]


def table(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their bold heads."""
    first, *others = columns([head, *rows])
    console.print(Text(first, "bold"))
    for line in others:
        console.print(Text(line))
