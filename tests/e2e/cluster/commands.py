"""Commands of other programs: run to their end, or waited for with a deadline."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Argument = str | int | Path

WITH_PARENT = ("setpriv", "--pdeathsig", "KILL") if sys.platform == "linux" else ()
"""Prefix of a command that must not outlive the thread which started it."""


class ClusterError(Exception):
    """What keeps the cluster from coming up or from doing what it is asked, with the way out where there is one."""


@dataclass(eq=False)
class CommandFailed(ClusterError):
    """A program ended with another status than 0."""

    command: Sequence[str]
    status: int
    said: str

    def __str__(self) -> str:
        return f"`{' '.join(self.command)}` ended with {self.status}: {self.said.strip() or 'it said nothing'}"


@dataclass(eq=False)
class NeverHappened(ClusterError):
    """Something did not come about before its deadline."""

    what: str
    seconds: float
    look: str

    def __str__(self) -> str:
        return f"{self.what} did not happen within {self.seconds:g} s{f'; look at {self.look}' if self.look else ''}"


def run(
    *command: Argument, text: str | None = None, directory: Path | None = None, env: dict[str, str] | None = None
) -> str:
    """Run a command to its end, with `text` as its input; its output. It dies with the thread that asked."""
    words = [str(word) for word in command]
    done = subprocess.run(
        [*WITH_PARENT, *words],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        cwd=directory,
        env=env,
        check=False,
    )
    if done.returncode:
        raise CommandFailed(words, done.returncode, (done.stderr or done.stdout)[-4000:])
    return done.stdout


def run_logged(log: Path, *command: Argument, directory: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command that says much and takes long: what it says goes to `log`, and its end into the error."""
    words = [str(word) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        done = subprocess.run(
            [*WITH_PARENT, *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=env,
            check=False,
        )
    if done.returncode:
        raise CommandFailed(words, done.returncode, f"the end of {log}:\n{log.read_text()[-4000:]}")


def until(
    condition: Callable[[], bool], seconds: float, what: str, *, look: Path | str = "", every: float = 0.1
) -> None:
    """Wait until `condition` holds, or raise `NeverHappened`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NeverHappened(what, seconds, str(look))
        time.sleep(every)
