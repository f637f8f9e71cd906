"""A reader's terminal: a shell and a Python prompt that live as long as one page, in a folder like a checkout."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from uuid import uuid4

PROMPT = """
import json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    page, number, text = json.loads(line)
    try:
        exec(compile("\\n" * (number - 1) + text, page, "exec"), names)
        answer = ""
    except BaseException:
        answer = traceback.format_exc()
    sys.stdout.flush()
    print(json.dumps({"failed": answer}), file=sys.stderr, flush=True)
"""


class Shell:
    """A bash that gets one command after the other. What still runs in its background at the end is ended."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-o", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        self._command = folder / f".command-{uuid4().hex[:8]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(b"kill $(jobs -p) 2>/dev/null; exit\n")
        self._bash.stdin.close()
        try:
            self._bash.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)  # with what it runs
            self._bash.wait()
        self._bash.stdout.close()

    def run(self, command: str, seconds: float) -> tuple[int, str]:
        """Run a command; its exit code and what it printed, standard error included."""
        assert self._bash.stdin
        mark = f"done-{uuid4().hex}"
        self._command.write_text(command + "\n")
        self._bash.stdin.write(f"source {self._command} </dev/null; status=$?; echo; echo {mark} $status\n".encode())
        self._bash.stdin.flush()
        assert self._bash.stdout
        said = _read_to(self._bash.stdout, re.compile(rf"\n{mark} (\d+)\n"), seconds, command)
        output, status = re.split(rf"\n{mark} ", said)
        return int(status), output


class Prompt:
    """A Python that gets one block after the other; names stay from block to block."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._python = subprocess.Popen(
            [sys.executable, "-W", "error:::__main__", "-c", PROMPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._python.stdin
        assert self._python.stderr
        self._python.stdin.close()
        try:
            self._python.wait(20)
        except subprocess.TimeoutExpired:
            self._python.kill()
            self._python.wait()
        self._python.stderr.close()

    def run(self, page: str, line: int, text: str, seconds: float) -> str:
        """Run a block; the traceback if it failed, else nothing."""
        assert self._python.stdin
        assert self._python.stderr
        self._python.stdin.write(json.dumps([page, line, text]).encode() + b"\n")
        self._python.stdin.flush()
        said = _read_to(self._python.stderr, re.compile(r'\{"failed": .*\}\n'), seconds, f"{page}:{line}")
        return str(json.loads(said[said.rindex('{"failed": ') :])["failed"])


def _read_to(stream: IO[bytes], pattern: re.Pattern[str], seconds: float, what: str) -> str:
    deadline, said = time.monotonic() + seconds, ""
    while not pattern.search(said):
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        more = os.read(stream.fileno(), 65536) if ready else b""
        if not more:
            raise AssertionError(f"`{what}` did not end within {seconds:g} s: {said}")
        said += more.decode(errors="replace")
    return said


def differs(shown: Sequence[str], printed: str) -> str:
    """How a page's output differs from the real one; nothing if it does not.

    Numbers, digests and spaces may differ, `...` stands for any lines, blank lines do not count.
    """
    real = [line for line in map(_shape, printed.splitlines()) if line]
    at, loose = 0, False
    for line in map(_shape, shown):
        if line == "...":
            loose = True
        elif line:
            found = next((i for i in range(at, len(real)) if real[i] == line), None) if loose else at
            if found is None or found >= len(real) or real[found] != line:
                return f"the page shows {line!r}, where this was printed:\n{printed}"
            at, loose = found + 1, False
    return "" if loose or at == len(real) or not shown else f"the page does not show {real[at]!r}, nor a `...`"


def _shape(line: str) -> str:
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"\b[0-9a-f]{12,}\b", "#", line)  # a digest
    line = re.sub(r"[-+]?\d+(\.\d+)?(e[-+]\d+)?", "#", line)
    return re.sub(r"\s+", " ", line).strip()
