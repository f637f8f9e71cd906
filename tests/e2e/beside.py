"""A program that runs beside a block until its input ends, and writes a line of JSON for each thing it got."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from tests.e2e.cluster.places import PROJECT
from tests.e2e.tools import written

STOP_S = 90
"""Seconds until it has ended, at most: it waits for what it has asked for."""


class Beside:
    """What it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[str], complaint: IO[str]) -> None:
        self._process, self._said, self._complaint = process, said, complaint

    @property
    def got(self) -> list[Any]:
        """Each line until now, in order. AssertionError with its words if it has failed."""
        if self._process.poll():
            raise AssertionError(f"it failed: {written(self._complaint)}")
        *lines, _unfinished = written(self._said).split("\n")
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        """End its input, and wait until it has ended."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(STOP_S)


@contextmanager
def beside(module: str, *arguments: object) -> Iterator[Beside]:
    """Run a module as a program while the block lasts, or until it is told to stop."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with (
        tempfile.TemporaryFile("w+") as said,
        tempfile.TemporaryFile("w+") as complaint,
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=said, stderr=complaint) as process,
    ):
        try:
            yield Beside(process, said, complaint)
        finally:
            process.kill()


def say(what: object) -> None:
    """For the program itself: write a line."""
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def told_to_stop() -> asyncio.Event:
    """For the program itself: set once its input has ended."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stopped.set)
    return stopped
