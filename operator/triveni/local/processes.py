"""The processes of a run: started in groups of their own, ended for certain.

A signal to the terminal's foreground group (Ctrl-C) reaches the runner only, which ends its processes in order:
SIGTERM, and SIGKILL to the whole group after a deadline. Should the runner itself be killed, the guard does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from triveni.local import guard as guard_script

TERM_SECONDS = 4.0
"""How long a process may take to end after SIGTERM, before SIGKILL."""

KILL_SECONDS = 5.0
"""How long the system may take to end a killed process."""

LINE_LIMIT = 2**20


class Guard:
    """The runner's end of the pipe to the guard process (see `guard`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard_script.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, what: str, name: str | int) -> None:
        """Tell the guard of a ``group`` or ``path``, or that one has ``gone``."""
        assert self._process.stdin
        with contextlib.suppress(OSError):  # a guard that somebody killed: the runner still cleans up itself
            self._process.stdin.write(json.dumps([what, name]).encode() + b"\n")
            self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(guard_script.TERM_SECONDS + KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()


@dataclass(eq=False)
class Process:
    """A started process, the leader of its own group. `ended` is done, with the exit code, when it has ended."""

    name: str
    log: Path
    pid: int
    ended: asyncio.Task[int] = field(repr=False)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self.ended.done()

    @property
    def code(self) -> int | None:
        """The exit code (negative: ended by that signal), None while it runs."""
        return self.ended.result() if self.ended.done() else None

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if there still is one."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def last_words(self, lines: int = 8) -> str:
        """The end of its log, for an error message."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Processes:
    """All processes of a run; as a context manager, none is left when it ends."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._running: set[Process] = set()

    async def start(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a process; its standard error goes to `log`, as does its output unless `line` takes each line of it."""
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        reading, writing = os.pipe() if line else (None, output)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except BaseException:
            if reading is not None:
                os.close(reading)
            raise
        finally:
            for descriptor in {output, writing}:
                os.close(descriptor)
        self._guard.watch("group", process.pid)
        lines = asyncio.create_task(_read_lines(reading, line)) if reading is not None and line else None
        ended = asyncio.create_task(self._wait(process, lines), name=f"{name} ended")
        started = Process(name, log, process.pid, ended)
        self._running.add(started)
        return started

    async def _wait(self, process: asyncio.subprocess.Process, lines: asyncio.Task[None] | None) -> int:
        code = await process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started itself ends with it
        self._guard.watch("gone", process.pid)
        if lines:
            await asyncio.wait([lines], timeout=KILL_SECONDS)
            lines.cancel()
        return code

    def kill(self) -> None:
        """End everything at once, without waiting for anything."""
        for process in self._running:
            if process.running:
                process.signal(signal.SIGKILL)

    async def stop(self, processes: Iterable[Process]) -> None:
        """End processes: SIGTERM, and SIGKILL to those that are still there after `TERM_SECONDS`."""
        stopping = [process for process in processes if process.running]
        for process in stopping:
            process.signal(signal.SIGTERM)
        await wait_all(stopping, TERM_SECONDS)
        for process in stopping:
            if process.running:
                process.signal(signal.SIGKILL)
        await wait_all(stopping, KILL_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """End all; a cancellation meanwhile makes it quicker, never incomplete."""
        stopping = asyncio.create_task(self.stop(self._running))
        cancelled = False
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:
                cancelled = True
                self.kill()
        if cancelled:
            raise asyncio.CancelledError


async def _read_lines(descriptor: int, line: Callable[[str], None]) -> None:
    """Hand on each line, to the end. A pipe of our own: asyncio's would delay the news of the process's end."""
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        stream = asyncio.StreamReader(limit=LINE_LIMIT)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            async for text in stream:
                line(text.decode(errors="replace").rstrip("\n"))
        except ValueError:  # a line beyond the limit: no process of ours writes one
            pass
        finally:
            transport.close()


async def wait_all(processes: Iterable[Process], seconds: float) -> bool:
    """Wait until all have ended, at most `seconds`; whether they have."""
    waiting = [process.ended for process in processes if process.running]
    if waiting:
        await asyncio.wait(waiting, timeout=seconds)
    return not any(not task.done() for task in waiting)
