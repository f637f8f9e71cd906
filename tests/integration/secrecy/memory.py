"""The memory of another process, as whoever owns its machine can read it: every page that is there, and what it holds.

Left out are pages that were never touched, and those of programs and libraries that are as their files on disk are.
"""

from __future__ import annotations

import mmap
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.integration.cluster import wait_until

MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r..(.) \S+ \S+ \S+ *(.*)$", re.MULTILINE)

OF_THE_KERNEL = ("[vvar", "[vsyscall]")

THERE = np.uint64(0b11 << 62)
"""Bits of a page's entry: it is in memory, or in swap."""

OF_A_FILE = np.uint64(1 << 61)
"""Bit of a page's entry: it is a file's, or shared."""


def require_the_right_to_read() -> None:
    """Skip, and say so, where other processes' memory cannot be read."""
    if os.geteuid() != 0:
        pytest.skip("NOT SEARCHED: the memory of a worker can be read by root only; run this test as root")


def pages(pid: int) -> Iterator[bytes]:
    """All that a process holds, in pieces of neighbouring pages."""
    with (
        open(f"/proc/{pid}/mem", "rb", buffering=0) as memory,
        open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap,
    ):
        for mapping in MAPPING.finditer(Path(f"/proc/{pid}/maps").read_text()):
            first, end = int(mapping[1], 16), int(mapping[2], 16)
            if mapping[4].startswith(OF_THE_KERNEL):
                continue
            pagemap.seek(8 * (first // mmap.PAGESIZE))
            entries = np.frombuffer(pagemap.read(8 * ((end - first) // mmap.PAGESIZE)), "<u8")
            own = (entries & THERE) != 0
            if mapping[3] == "p" and mapping[4].startswith("/"):  # written to, its pages become the process's own
                own &= (entries & OF_A_FILE) == 0
            there = np.concatenate(([False], own, [False]))
            for start, stop in np.flatnonzero(there[1:] != there[:-1]).reshape(-1, 2).tolist():
                memory.seek(first + start * mmap.PAGESIZE)
                yield memory.read((stop - start) * mmap.PAGESIZE)


@contextmanager
def held_still(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: is_stopped(pid))
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Whether a process stands still, because somebody or itself stopped it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
