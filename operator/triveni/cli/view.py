"""Shows a run while it goes on: its steps and their times, each request served, each digit with its predictions."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.status import Status
from rich.text import Text

from triveni.cli import summary as summary_
from triveni.cli.answers import in_short
from triveni.cli.exit_codes import FAILED
from triveni.cli.inputs import Row
from triveni.cli.picture import draw, drawable
from triveni.cli.plain import NOT_INSTALLED
from triveni.local.events import (
    CompanionEnded,
    EpochBegan,
    EpochEnded,
    Event,
    Fetching,
    LogLine,
    Retrying,
    Said,
    Served,
    Serving,
    StepBegan,
    StepEnded,
    Summary,
)

CLIENT, KERAS = "client", "keras"

MAX_PICTURES = 12
"""Predictions shown as pictures; those after them get a line each."""

Answer = NDArray[np.float64]


class RunView:
    """Takes the events of a run and prints them; on a terminal, a step that goes on is a moving line.

    A prediction is shown once the worker's side of it was ('Served encrypted prediction N') and plain Keras's answer
    is there, unless it is known that there will be none.
    """

    def __init__(self, console: Console, rows: Sequence[Row], *, compare: bool) -> None:
        self.client_seconds: list[float] = []
        self.client_failed: tuple[str, int] | None = None
        self._console, self._rows = console, rows
        self._plain: dict[int, Answer] = {}
        self._plain_pending = compare
        self._waiting: deque[dict[str, Any]] = deque()
        self._served = self._shown = 0
        self._status: Status | None = None

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case EpochBegan(epoch, granted):
                self._print(f"Epoch {epoch}: {'no limit' if granted is None else f'{granted} requests'} granted")
            case StepBegan(_, step):
                self._spin(step)
            case StepEnded(_, step, seconds):
                self._spin(None)
                self._print(f"  {step:<30} {seconds:5.1f} s")
            case Fetching(_, done, total, None):
                whole = f" of {total / 1e6:.1f}" if total else ""
                self._spin(f"fetch the model: {done / 1e6:.1f}{whole} MB")
            case Fetching(_, done, _, problem):
                self._print(f"  {problem} after {done / 1e6:.1f} MB; trying again", style="dim")
            case Serving(_, connection, seconds):
                self._print(f"Serving after {seconds:.1f} s. To ask: triveni predict --connection {connection} FILE")
            case Served(number):
                self._served = number
                self._print(f"Served encrypted prediction {number} to client.", style="bold green")
                self._show_ready()
            case Said(name, line):
                self._said(name, line)
            case CompanionEnded(name, code, last_words):
                self._companion_ended(name, code, last_words)
            case LogLine(name, line):
                self._print(f"{name}: {line}", style="dim")
            case EpochEnded(charge, _, why):
                self._spin(None)
                self._print(f"Epoch {charge.grant.epoch} ended: {why}")
                if self._waiting and self._plain_pending:
                    self._spin("plain Keras is loading, to compare")
            case Retrying(seconds):
                self._print("Sharing again in a new epoch" + (f" in {seconds:g} s" if seconds else ""))
            case _:
                pass

    def finish(self) -> None:
        """Show what still waits for something that does not come any more, and stop moving."""
        self._spin(None)
        self._plain_pending = False
        while self._waiting:
            self._show(self._waiting.popleft())

    def summary(self, summary: Summary) -> None:
        """Show what the run came to."""
        for line in summary_.lines(summary, self.client_seconds):
            self._print(line)

    def _said(self, name: str, line: str) -> None:
        document = json.loads(line)
        if name == KERAS:
            self._plain[document["index"]] = np.asarray(document["answer"])
        else:
            self.client_seconds.append(document["seconds"])
            self._waiting.append(document)
        self._show_ready()

    def _companion_ended(self, name: str, code: int, last_words: str) -> None:
        if name == CLIENT:
            self.client_failed = (last_words or f"exit code {code}", max(code, FAILED)) if code else None
            return
        self._plain_pending = False
        if code == NOT_INSTALLED:
            self._print("Plain Keras is not compared: TensorFlow is not installed here", style="dim")
        elif code > 0:
            why = (last_words.splitlines() or ["no reason given"])[-1]
            self._print(f"Plain Keras is not compared: {why}", style="dim")
        self._show_ready()

    def _show_ready(self) -> None:
        while self._waiting and self._shown < self._served:
            if self._plain_pending and self._waiting[0]["index"] not in self._plain:
                return
            self._spin(None)
            self._show(self._waiting.popleft())

    def _show(self, document: dict[str, Any]) -> None:
        self._shown += 1
        index = document["index"]
        answer = np.asarray(document["answer"])
        row = self._rows[index] if index < len(self._rows) else None
        words = self._words(document, row, answer)
        brightness = drawable(row.values) if row else None
        if brightness is None or self._shown > MAX_PICTURES:
            self._print("  " + ", ".join(text.plain for text in words))
            return
        lines = draw(brightness, colour=self._console.color_system is not None)
        first = max(0, (len(lines) - len(words)) // 2)
        for number, line in enumerate(lines):
            beside = words[number - first] if first <= number < first + len(words) else Text()
            self._console.print(Text.assemble("  ", line, "   ", beside), no_wrap=True, crop=False, overflow="ignore")

    def _words(self, document: dict[str, Any], row: Row | None, answer: Answer) -> list[Text]:
        label = "" if row is None or row.label is None else f", a {row.label}"
        words = [
            Text(f"{document['input']}{label}", "dim"),
            Text(f"secret prediction  {in_short(answer)}", "bold"),
        ]
        if (plain := self._plain.get(document["index"])) is not None:
            words.append(Text(f"plain Keras        {in_short(plain)}"))
            words.append(Text(f"largest difference of a logit {np.abs(plain - answer).max():.1e}", "dim"))
        words.append(Text(f"{document['seconds'] * 1000:.1f} ms", "dim"))
        return words

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(Text(text, style or ""), soft_wrap=True)

    def _spin(self, step: str | None) -> None:
        if self._status:
            self._status.stop()
            self._status = None
        if step and self._console.is_terminal:
            self._status = self._console.status(f"{step} ...")
            self._status.start()
