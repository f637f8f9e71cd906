"""The guard: a small process that cleans up if the runner dies without doing so (SIGKILL, out of memory).

It holds the reading end of a pipe from the runner, which names each process group and path that must not outlive it,
one JSON list a line: ``["group", 12]``, ``["gone", 12]``, ``["path", "..."]``. When the pipe closes, whatever has not
gone is ended and removed. Started as a script without site packages, so that it costs a few milliseconds and megabytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

TERM_SECONDS = 3.0


def main() -> None:
    """Follow standard input to its end, then end and remove what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    paths: set[str] = set()
    for line in sys.stdin:
        what, name = json.loads(line)
        if what == "group":
            groups.add(name)
        elif what == "path":
            paths.add(name)
        else:
            groups.discard(name)
            paths.discard(name)
    end(groups)
    remove(paths)


def end(groups: set[int]) -> None:
    """SIGTERM, and SIGKILL for what is still there `TERM_SECONDS` later."""
    for group in groups:
        _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + TERM_SECONDS
    while any(_signal(group, 0) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.02)
    for group in groups:
        _signal(group, signal.SIGKILL)


def remove(paths: Iterable[str]) -> None:
    """Remove files and directory trees; what is not there any more is no error."""
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
