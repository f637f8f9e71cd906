"""The data links of the engine thread: a TLS connection to each peer and one from each, blocking, with deadlines.

A link carries one way only. Small frames are written at once. When two peers write to each other more than the sockets
hold, neither write may block: what does not fit is kept back (not copied) and written while this worker waits for its
own next frame, so they cannot wait for each other for ever. Only `wake` and `cut` may be called from another thread.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from triveni.mpc.execute.machine import PeerLost

CHUNK = 1 << 14
"""Bytes written at once: one TLS record."""

GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR | select.POLLNVAL

WOULD_BLOCK = (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError)


@dataclass(eq=False)
class LinkLost(PeerLost):
    """A link to a peer ended, broke, or stayed silent for too long; `problem` says which."""

    problem: str

    def __str__(self) -> str:
        return f"worker {self.peer} is lost: {self.problem}"


class DataLinks:
    """The links of one worker; implements `triveni.mpc.execute.machine.Links`."""

    def __init__(
        self, outgoing: Mapping[int, ssl.SSLSocket], incoming: Mapping[int, ssl.SSLSocket], timeout_s: float
    ) -> None:
        self._out = dict(outgoing)
        self._in = dict(incoming)
        self._timeout_s = timeout_s
        for sock in self._out.values():
            sock.settimeout(0)
        for sock in self._in.values():
            sock.settimeout(timeout_s)
        self._backlog: dict[int, deque[memoryview]] = {}
        self._broken: dict[int, LinkLost] = {}
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self.bytes_sent = 0

    @property
    def peers(self) -> tuple[int, ...]:
        """The parties at the other ends."""
        return tuple(self._in)

    def send(self, peer: int, frame: memoryview) -> None:
        """Write a frame, or as much as fits now; its bytes have to stay as they are until `flush`.

        A link that broke is remembered, not raised: the run can still be completed if all that it needs has arrived.
        """
        self.bytes_sent += frame.nbytes
        if self._backlog and peer in self._backlog:
            self._backlog[peer].append(frame)
            return
        rest = self._write(peer, frame)
        if rest.nbytes:
            self._backlog[peer] = deque([rest])

    def receive_into(self, peer: int, buffer: memoryview) -> None:
        """Fill `buffer` with what the peer sent; LinkLost if its link ends first or is silent for `timeout_s`."""
        if self._backlog:
            self._exchange(peer, buffer)
            return
        sock, size, got = self._in[peer], buffer.nbytes, 0
        try:
            while got < size:
                count = sock.recv_into(buffer[got:] if got else buffer)
                if not count:
                    raise LinkLost(peer, "its link ended")
                got += count
        except TimeoutError:
            raise LinkLost(peer, self._silence()) from None
        except OSError as error:
            raise LinkLost(peer, _text(error)) from None

    def receive(self, peer: int, size: int) -> bytearray:
        """The next `size` bytes of the peer; LinkLost as `receive_into`."""
        buffer = bytearray(size)
        self.receive_into(peer, memoryview(buffer))
        return buffer

    def flush(self) -> None:
        """Wait until all that was sent is handed to the system, or its link broke.

        Raises:
            LinkLost: a peer reads nothing for `timeout_s`.
        """
        deadline = time.monotonic() + self._timeout_s
        while self._backlog:
            if self._push():
                deadline = time.monotonic() + self._timeout_s
            elif time.monotonic() > deadline:
                raise LinkLost(next(iter(self._backlog)), self._silence())
            elif self._backlog:
                self._poll({}, deadline)

    def idle(self, peer: int | None, timeout_s: float | None) -> bool:
        """Wait until `peer` (None: nobody) has sent something: True; False if woken or after `timeout_s`.

        Raises:
            LinkLost: a link from a peer ended.
        """
        if peer is not None and self._in[peer].pending():
            return True
        waiting = {self._woken.fileno(): select.POLLIN}
        parties = {sock.fileno(): party for party, sock in self._in.items()}
        waiting |= {fd: GONE | (select.POLLIN if party == peer else 0) for fd, party in parties.items()}
        events = self._poll(waiting, None if timeout_s is None else time.monotonic() + timeout_s)
        if peer is not None and events.get(self._in[peer].fileno(), 0) & select.POLLIN:
            return True
        for fd, event in events.items():
            if fd in parties and event & GONE:
                raise LinkLost(parties[fd], "its link ended")
        if self._woken.fileno() in events:
            self._woken.recv(4096)
        return False

    def require_unbroken(self) -> None:
        """LinkLost if a link broke while something was sent."""
        for lost in self._broken.values():
            raise lost

    def wake(self) -> None:
        """End `idle` now, or the next one at once."""
        try:
            self._wake.send(b"!")
        except (BlockingIOError, OSError):
            return  # it is awake already, or closed

    def cut(self) -> None:
        """End all links at once, so that whoever waits on one wakes up."""
        for sock in (*self._out.values(), *self._in.values()):
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which is not for two threads
            except OSError:
                continue

    def close(self) -> None:
        """Close everything."""
        for sock in (*self._out.values(), *self._in.values(), self._woken, self._wake):
            sock.close()

    def _write(self, peer: int, frame: memoryview) -> memoryview:
        """Write what fits now; the rest. The same rest is to be written first again, since TLS may have begun it."""
        sock = self._out[peer]
        try:
            while frame.nbytes:
                frame = frame[sock.send(frame[:CHUNK]) :]
        except WOULD_BLOCK:
            return frame
        except OSError as error:
            self._broken.setdefault(peer, LinkLost(peer, _text(error)))
            return frame[:0]
        return frame

    def _push(self) -> bool:
        """Write what fits of what was kept back; whether any was written."""
        progress = False
        for peer, frames in list(self._backlog.items()):
            while frames:
                rest = self._write(peer, frames[0])
                progress = progress or rest.nbytes < frames[0].nbytes
                if rest.nbytes:
                    frames[0] = rest
                    break
                frames.popleft()
            if not frames:
                del self._backlog[peer]
        return progress

    def _exchange(self, peer: int, buffer: memoryview) -> None:
        """Read a frame and write what was kept back, whichever is possible, without blocking on either."""
        sock = self._in[peer]
        sock.settimeout(0)
        deadline = time.monotonic() + self._timeout_s
        try:
            while buffer.nbytes:
                progress = self._push()
                try:
                    count = sock.recv_into(buffer)
                    if not count:
                        raise LinkLost(peer, "its link ended")
                    buffer, progress = buffer[count:], True
                except WOULD_BLOCK:
                    if not progress:
                        self._poll({sock.fileno(): select.POLLIN}, deadline)
                if progress:
                    deadline = time.monotonic() + self._timeout_s
                elif time.monotonic() > deadline:
                    raise LinkLost(peer, self._silence())
        except OSError as error:
            raise LinkLost(peer, _text(error)) from None
        finally:
            sock.settimeout(self._timeout_s)

    def _poll(self, waiting: Mapping[int, int], deadline: float | None) -> dict[int, int]:
        poll = select.poll()
        for fd, events in waiting.items():
            poll.register(fd, events)
        for party in self._backlog:
            poll.register(self._out[party].fileno(), select.POLLOUT)
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        return dict(poll.poll(None if remaining is None else remaining * 1000))

    def _silence(self) -> str:
        return f"nothing was heard of it for {self._timeout_s:g} s (timeout)"


def _text(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return str(reason or type(error).__name__)
