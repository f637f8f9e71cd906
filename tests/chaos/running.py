"""The processes of a SecureModel that are there, found by the files that their command lines name (Linux)."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

SHARING = "sharing"

_PARTS = re.compile(r"/epoch-(\d+)/(?:worker-(\d)\.json|(sharing)-credentials)")


def running(folder: Path) -> Mapping[tuple[int, int | str], int]:
    """Process ids of workers and sharing processes, by epoch and party (or `SHARING`)."""
    found: dict[tuple[int, int | str], int] = {}
    for pid, arguments in _command_lines():
        if str(folder) in arguments and (match := _PARTS.search(arguments)):
            found[int(match[1]), int(match[2]) if match[2] else SHARING] = pid
    return found


def kill(pid: int) -> None:
    """SIGKILL to a process that may have ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _command_lines() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield int(path.parent.name), path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
