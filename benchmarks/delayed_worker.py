"""A worker whose frames take their time: ``python -m benchmarks.delayed_worker MILLISECONDS --config FILE``.

A process beside the worker, on loopback, stands between it and the two peers that it connects to, and hands on every
byte half a round trip later, both ways, in order. Bandwidth is not limited, and clients are not delayed.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from triveni.worker.__main__ import main as worker
from triveni.worker.process import overwrite_freed_memory

PIECE = 1 << 18

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Start the process between, have the worker use it, be the worker."""
    overwrite_freed_memory()
    delay, path = float(sys.argv[1]) / 2000, Path(sys.argv[3])
    config = json.loads(path.read_text())
    listeners = {}
    for peer, address in config["peers"].items():
        listeners[peer] = (socket.create_server(("127.0.0.1", 0)), (address["host"], address["port"]))
        address["port"] = listeners[peer][0].getsockname()[1]
    path.write_text(json.dumps(config))
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for listener, target in listeners.values():
            threading.Thread(target=_stand_between, args=(listener, target, delay)).start()
        signal.pause()
    for listener, _ in listeners.values():
        listener.close()
    return worker(["--config", str(path)])


def _stand_between(listener: socket.socket, target: tuple[str, int], delay: float) -> None:
    while True:
        accepted, _ = listener.accept()
        try:
            forward = socket.create_connection(target)
        except OSError:
            accepted.close()  # the peer does not listen yet: the worker tries again
            continue
        for source, sink in ((accepted, forward), (forward, accepted)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
            threading.Thread(target=_read, args=(source, waiting, delay)).start()
            threading.Thread(target=_write, args=(sink, waiting)).start()


def _read(source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]], delay: float) -> None:
    """Note when each piece may go on; an empty one is the end."""
    piece = b"."
    while piece:
        try:
            piece = source.recv(PIECE)
        except OSError:
            piece = b""
        waiting.put((time.monotonic() + delay, piece))


def _write(sink: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    while True:
        due, piece = waiting.get()
        time.sleep(max(due - time.monotonic(), 0))
        try:
            if piece:
                sink.sendall(piece)
            else:
                sink.shutdown(socket.SHUT_WR)
                return
        except OSError:
            return


if __name__ == "__main__":
    sys.exit(main())
