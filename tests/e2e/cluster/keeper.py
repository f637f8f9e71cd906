"""The keeper: one process on the host that holds up the control plane, and is the only way to it.

It listens on a free port of 127.0.0.1, starts the control plane's machine, moves into that machine's network namespace
and carries every connection to the API server there: a socket stays in the namespace that it was made in. The machine
dies with it, and it ends with the machine. All nodes live in the machine's PID namespace, so they end too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.e2e.cluster import inside, network
from tests.e2e.cluster.commands import WITH_PARENT
from tests.e2e.cluster.places import Places
from tests.e2e.cluster.processes import first_process, remember

NAME = "control-plane"
STEPS = "control-plane.json"

_CHUNK = 1 << 16
_CLONE_NEWNET = 0x40000000


def namespaces(steps: str, name: str, *more: str) -> list[str]:
    """The command that starts a machine in namespaces of its own; it is killed when this process is."""
    machine = Path(__file__).with_name("machine.py")
    unshare = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--net", *more)
    python = (sys.executable, "-I", "-S", str(machine))
    return [*unshare, "--kill-child=SIGKILL", *python, name, steps, inside.LOGS]


def main(directory: str) -> None:
    """Keep the control plane of the cluster in `directory`."""
    places = Places(Path(directory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    steps = str(places.directory / STEPS)
    outer = subprocess.Popen([*WITH_PARENT, *namespaces(steps, NAME)], stdin=subprocess.DEVNULL)
    first = first_process(outer.pid)
    _enter_network(first.number)
    remember(first, places.processes / NAME, port=listener.getsockname()[1])
    asyncio.run(_forward(listener, outer.pid))


def _enter_network(process: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{process}/ns/net").open() as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


async def _forward(listener: socket.socket, machine: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    handle = os.pidfd_open(machine)
    loop.add_reader(handle, ended.set)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    async with await asyncio.start_server(_carry, sock=listener):
        await ended.wait()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one connection, both ways, until both sides have said all they had to say."""
    try:
        there, to = await asyncio.open_connection(network.CONTROL_PLANE, network.API_PORT)
    except OSError:
        writer.close()
        return
    # One side may hang up in the middle: the other is told by the end of its connection.
    with contextlib.suppress(OSError):
        await asyncio.gather(_copy(reader, to), _copy(there, writer))
    for end in (to, writer):
        end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


if __name__ == "__main__":
    main(*sys.argv[1:])
