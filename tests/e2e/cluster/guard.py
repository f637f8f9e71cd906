"""The guard: takes a cluster down if the process that brought it up, or uses it, dies without doing so.

It reads from a pipe whose other end only that process holds. The pipe closes with the process, however it dies; the
word `stay` before that sends the guard home.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster.places import PROJECT

_STAY = b"stay\n"


@contextmanager
def guarded(directory: Path) -> Iterator[None]:
    """Have whatever is in `directory` taken down if this process dies in the block, or the block fails."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "guard.log").open("wb") as log:
        guard = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.cluster.guard", str(directory)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert guard.stdin
    try:
        yield
        guard.stdin.write(_STAY)
    finally:
        guard.stdin.close()
        guard.wait()


def main(directory: str) -> None:
    """Guard the cluster in `directory`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == _STAY:
        return
    # Late, so that a guard costs next to nothing while it waits.
    from tests.e2e.cluster.cluster import at

    at(Path(directory)).down()


if __name__ == "__main__":
    main(*sys.argv[1:])
