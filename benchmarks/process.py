"""What the system says of a process: memory and processor time, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Milliseconds of processor time: of all threads, and of the busiest thread that is not the main one."""

    process: float
    engine: float

    def __sub__(self, before: CpuTime) -> CpuTime:
        return CpuTime(self.process - before.process, self.engine - before.engine)


def peak_memory(pid: int) -> float:
    """Largest resident memory so far, in megabytes (10^6 bytes)."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def cpu_time(pid: int) -> CpuTime:
    """Processor time since the start of a worker. Its engine is its one busy thread beside the main one."""
    threads = {
        int(task.name): int((task / "schedstat").read_text().split()[0]) / 1e6
        for task in (PROC / str(pid) / "task").iterdir()
    }
    return CpuTime(sum(threads.values()), max((ms for thread, ms in threads.items() if thread != pid), default=0.0))


def children() -> Iterator[tuple[int, Sequence[str]]]:
    """The process id and command of each child of this process."""
    for status in PROC.glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid():
                command = (status.parent / "cmdline").read_bytes().decode(errors="replace").split("\0")
                yield int(status.parent.name), command
        except (FileNotFoundError, ProcessLookupError):
            continue
