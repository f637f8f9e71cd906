"""The first process of a machine: takes its steps, then reaps, and starts again whatever ended, as an init does.

A machine is nothing but namespaces, and this process holds them: when it is killed the kernel kills the rest and takes
mounts and network with it, which is what a power cut does to a computer. It runs alone, without site packages and
without this project on its path: what it does is a file of steps, one JSON list each (`Step`).

    ["run", COMMAND...]               run to the end
    ["write", FILE, TEXT]             into an existing file of /proc
    ["await-link", NAME]              until that network interface is there
    ["await-path", FILE]              until that file is there
    ["await-port", ADDRESS, PORT]     until something listens
    ["start", NAME, COMMAND...]       a daemon, with a log of its own
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

Step = list[str]

RESTART_SECONDS = 0.5
WAIT_SECONDS = 120.0


class Machine:
    """The daemons of one machine."""

    def __init__(self, name: str, logs: Path) -> None:
        self._name = name
        self._logs = logs
        self._daemons: dict[int, tuple[str, list[str]]] = {}

    def take(self, step: Step) -> None:
        """Take one step."""
        match step:
            case ["run", *command]:
                subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            case ["write", file, text]:
                Path(file).write_text(text)
            case ["await-link", name]:
                self._wait(f"link {name}", lambda: f"{name}:" in Path("/proc/self/net/dev").read_text())
            case ["await-path", path]:
                self._wait(path, Path(path).exists)
            case ["await-port", address, port]:
                self._wait(f"{address}:{port}", lambda: _listens(address, int(port)))
            case ["start", name, *command]:
                self._start(name, command)
            case _:
                raise ValueError(f"no such step: {step}")

    def stay(self) -> None:
        """Reap for ever."""
        while True:
            self._reap(os.wait()[0])

    def _start(self, name: str, command: list[str]) -> None:
        with (self._logs / f"{self._name}.{name}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # Reaped in `_reap`, like every orphan of this namespace; Popen must not look for it.
        process.returncode = 0
        self._daemons[process.pid] = name, command

    def _reap(self, number: int) -> None:
        if number in self._daemons:
            name, command = self._daemons.pop(number)
            self._say(f"{name} ended; starting it again")
            time.sleep(RESTART_SECONDS)
            self._start(name, command)

    def _wait(self, what: str, there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not there():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come within {WAIT_SECONDS:g} s")
            with contextlib.suppress(ChildProcessError):
                number, _ = os.waitpid(-1, os.WNOHANG)
                self._reap(number)
            time.sleep(0.05)

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {self._name}: {text}\n")
        sys.stderr.flush()


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def main(name: str, steps: str, logs: str) -> None:
    """Be the machine called `name`."""
    machine = Machine(name, Path(logs))
    for step in json.loads(Path(steps).read_text()):
        machine.take(step)
    machine.stay()


if __name__ == "__main__":
    main(*sys.argv[1:])
