"""Something that is looked at again and again: redrawn in place on a terminal, printed when it changes elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from triveni.cli.errors import CommandFailed
from triveni.cli.exit_codes import UNREACHABLE
from triveni.cli.output import Screen, json_line
from triveni.client.live import WorkerStatus


@dataclass(frozen=True)
class Shown:
    """What is to be seen at one time: as lines for people, and as JSON documents."""

    lines: Sequence[Text]
    documents: Sequence[Mapping[str, Any]]


Look = Callable[[], Awaitable[Shown]]


async def show(look: Look, console: Screen, *, as_json: bool, every: float | None) -> None:
    """Show what `look` finds, once or (with seconds in `every`) until cancelled."""
    if every is not None and not as_json and console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(Group(*(await look()).lines), refresh=True)
                await asyncio.sleep(every)
    before: object = None
    while True:
        shown = await look()
        now = shown.documents if as_json else [line.plain for line in shown.lines]
        if now != before:
            _print(shown, console, as_json=as_json)
        if every is None:
            return
        before = now
        await asyncio.sleep(every)


def require_one(workers: Sequence[WorkerStatus]) -> None:
    """CommandFailed if not one of the workers could be asked: it was shown, and scripts can tell by the exit code."""
    if all(worker.problem for worker in workers):
        raise CommandFailed("no worker answers; is the model still served?", UNREACHABLE)


def _print(shown: Shown, console: Screen, *, as_json: bool) -> None:
    if as_json:
        for document in shown.documents:
            json_line(document)
        return
    for line in shown.lines:
        console.print(line)
