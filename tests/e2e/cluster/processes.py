"""Processes of machines: named so that a reused process number is never mistaken for them, and ended for good."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.cluster.commands import ClusterError, NeverHappened, until


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its number and the moment it started."""

    number: int
    started: str

    @classmethod
    def of(cls, number: int) -> Process | None:
        """The process that has this number now; None if there is none, or only what is left of one."""
        try:
            fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else cls(number, fields[19])

    @property
    def alive(self) -> bool:
        """Whether this very process runs."""
        return Process.of(self.number) == self

    @property
    def first(self) -> bool:
        """Whether it is the first process of a PID namespace, as a machine's is."""
        status = Path(f"/proc/{self.number}/status").read_text()
        return next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1] == "1"

    def child(self) -> Process | None:
        """Its only child; None if it has none yet."""
        try:
            numbers = Path(f"/proc/{self.number}/task/{self.number}/children").read_text().split()
        except OSError:
            return None
        return Process.of(int(numbers[0])) if numbers else None

    def end(self, number: int = signal.SIGKILL, seconds: float = 30) -> None:
        """Signal it and wait for its end. The first process of a PID namespace ends after all others in it."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self.number)
            try:
                if not self.alive:
                    return
                signal.pidfd_send_signal(handle, number)
                if not select.select([handle], [], [], seconds)[0]:
                    raise NeverHappened(f"the end of process {self.number}", seconds, "")
            finally:
                os.close(handle)


def spawn(command: list[str], log: Path, environment: Mapping[str, str]) -> int:
    """Start what outlives this process, in a session of its own, saying what it says into `log`; its number."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawnp(command[0], command, environment, file_actions=actions, setsid=True)


def first_process(outer: int) -> Process:
    """The first process of the machine that process `outer` starts: its child, or the child of that."""
    found: list[Process] = []

    def there() -> bool:
        process = Process.of(outer)
        if process is None:
            raise ClusterError("a machine ended as soon as it was started; its log says why")
        with contextlib.suppress(FileNotFoundError):
            while process is not None and not process.first:
                process = process.child()
            if process is not None:
                found.append(process)
        return bool(found)

    until(there, 10, "the start of a machine", every=0.01)
    return found[0]


def remember(process: Process, file: Path, **more: int) -> None:
    """Write down a process; whoever reads sees all of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(process) | more))
    unfinished.replace(file)


def recall(file: Path) -> Process | None:
    """The process that was written down, if it still runs."""
    try:
        noted = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    process = Process(noted["number"], noted["started"])
    return process if process.alive else None
