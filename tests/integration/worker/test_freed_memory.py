"""Freed memory of a worker holds nothing, however small the block was."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from triveni.worker.process import OVERWRITING

DEADLINE_S = 60.0

SIZES = "100, 480, 600, 1000, 5000, 100_000"

FREE_AND_LOOK = f"""
import ctypes, os, sys
from triveni.worker.process import overwrite_freed_memory
if sys.argv[1] == "overwriting":
    overwrite_freed_memory()
seen = (ctypes.c_char * 100_000)()
left = []
for size in ({SIZES}):
    block = b"B" * (size - len(sys.argv) + 2)
    address = id(block) + 64
    del block
    ctypes.memmove(seen, address, size - 64)
    left.append(seen[: size - 64].count(b"B"))
print(os.getpid(), [name for name in {list(OVERWRITING)} if name in os.environ], left)
"""

IS_GLIBC = sys.platform == "linux" and "glibc" in (os.confstr("CS_GNU_LIBC_VERSION") or "")

pytestmark = pytest.mark.skipif(not IS_GLIBC, reason="freed memory is overwritten by glibc only")


def freed(how: str) -> tuple[int, str]:
    """Process id, and what it printed."""
    command = [sys.executable, "-c", FREE_AND_LOOK, how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    return process.pid, output.strip()


def test_what_is_freed_is_overwritten_and_what_the_process_starts_is_not_concerned() -> None:
    pid, output = freed("overwriting")
    assert output == f"{pid} [] {[0] * 6}"


def test_otherwise_blocks_of_all_sizes_are_left() -> None:
    _, output = freed("plain")
    left = [int(number) for number in output.partition("] [")[2].rstrip("]").split(", ")]
    assert all(left[:5]), "the largest may be given back to the system"


def test_a_worker_starts_itself_that_way(tmp_path: Path) -> None:
    config = tmp_path / "config"
    os.mkfifo(config)
    process = subprocess.Popen([sys.executable, "-m", "triveni.worker", "--config", str(config)])
    try:
        deadline = time.monotonic() + DEADLINE_S
        environment = Path(f"/proc/{process.pid}/environ")
        # glibc ends each of its settings with a zero where it reads them.
        wanted = [part.encode() for value in OVERWRITING.values() for part in value.split(":")]
        while not all(part in environment.read_bytes() for part in wanted):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        config.write_text("no configuration")
        assert process.wait(DEADLINE_S) == 1
    finally:
        process.kill()
        process.wait()
