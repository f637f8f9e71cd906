"""`triveni run` in a process of its own, with a temporary directory of its own, so that all it leaves can be seen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MANIFEST = ROOT / "examples" / "mnist.yaml"

SECONDS = 120
"""For anything; a first compilation takes most of it on a busy machine."""


class Run:
    """A running `triveni run`; `lines` is what it has printed so far."""

    def __init__(self, temporary: Path, programs: Path, *arguments: object) -> None:
        self.temporary = temporary
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "triveni.cli", "run", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(programs.parents[1]), "COLUMNS": "300"},
            text=True,
        )

    def __iter__(self) -> Iterator[str]:
        """Lines as they come."""
        assert self._process.stdout
        for line in () if self._process.stdout.closed else self._process.stdout:
            self.lines.append(line.rstrip())
            yield line.rstrip()

    def read_to(self, pattern: str) -> re.Match[str]:
        """Read to the first line that holds `pattern`."""
        for line in self:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"ended before {pattern!r}:\n" + "\n".join(self.lines))

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        """Read to the end: the exit code."""
        for _ in self:
            pass
        assert self._process.stdout
        self._process.stdout.close()
        return self._process.wait(SECONDS)

    def close_output(self) -> int:
        """Read no more, as `head` does: the exit code."""
        assert self._process.stdout
        self._process.stdout.close()
        return self._process.wait(SECONDS)

    def kill(self) -> None:
        self._process.kill()

    def workers(self) -> dict[int, int]:
        """Pids of the workers that run, by party."""
        found = {}
        for pid, arguments in processes(str(self.temporary)).items():
            if "triveni.worker" in arguments and (match := re.search(r"worker-(\d)\.json", arguments)):
                found[int(match[1])] = pid
        return found

    def left(self) -> list[str]:
        """What the run has left behind: files in its temporary directory, processes that name it."""
        # os.walk, unlike Path.rglob, puts up with a folder that goes meanwhile.
        files = [os.path.join(at, name) for at, *names in os.walk(self.temporary) for name in chain(*names)]
        return files + list(processes(str(self.temporary)).values())

    @property
    def served(self) -> list[int]:
        """The numbers of 'Served encrypted prediction N to client.'"""
        found = (re.fullmatch(r"Served encrypted prediction (\d+) to client\.", line) for line in self.lines)
        return [int(match[1]) for match in found if match]


def processes(naming: str) -> dict[int, str]:
    """Command lines of the running processes that name something, by pid."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if naming in arguments:
            found[int(path.parent.name)] = arguments
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def triveni_run(tmp_path: Path, programs: Path) -> Iterator[Callable[..., Run]]:
    """Start `triveni run` with some arguments; whatever happens, it is ended with the test."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    runs: list[Run] = []

    def start(*arguments: object) -> Run:
        runs.append(Run(temporary, programs, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        run.send(signal.SIGTERM)
        run.end()
