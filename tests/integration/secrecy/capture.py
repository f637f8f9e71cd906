"""What crosses the loopback device: a packet capture, put together to TCP streams and cut into TLS records.

Every packet on this device passes twice, as sent and as received; a socket for IP alone is given the second.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import Self

import pytest

ETH_P_IP = 0x0800
SOL_PACKET, PACKET_STATISTICS = 263, 6
TCP = 6
SYN = 0x02
BUFFER_BYTES = 1 << 28
POLL_S = 0.2

TLS_1_3 = 0x0304
SUPPORTED_VERSIONS = 43
CLIENT_HELLO, SERVER_HELLO = 1, 2
MOST_BYTES = (1 << 14) + 256
"""Of a record of TLS 1.3 (RFC 8446, 5.2)."""


class Content(IntEnum):
    """What a TLS record says that it holds."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


@dataclass(eq=False)
class NotTls(Exception):
    """Bytes of a stream that are no record of TLS 1.3."""

    problem: str

    def __str__(self) -> str:
        return self.problem


@dataclass
class Connection:
    """One TCP connection; `sent` and `received` are whole streams, as seen by whoever connected."""

    port: int
    sent: bytes
    received: bytes


@dataclass
class _Stream:
    first: int
    pieces: dict[int, bytes] = field(default_factory=dict)

    def add(self, number: int, payload: bytes) -> None:
        at = (number - self.first) % 2**32
        if len(payload) > len(self.pieces.get(at, b"")):
            self.pieces[at] = payload

    def whole(self) -> bytes:
        """Everything, in order; nothing may be missing."""
        content = bytearray()
        for at, piece in sorted(self.pieces.items()):
            assert at <= len(content), "a packet is missing in the capture"
            content += piece[len(content) - at :]
        return bytes(content)


@dataclass
class _Open:
    port: int
    sent: _Stream
    received: _Stream | None = None


class Capture:
    """Captures the packets of loopback until its `with` ends; for root, everybody else's test is skipped."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="capture")

    def __enter__(self) -> Self:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        except (PermissionError, AttributeError):
            pytest.skip("NOT CAPTURED: packets on loopback can be seen by root on Linux only; run this test as root")
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, 33, BUFFER_BYTES)  # SO_RCVBUFFORCE
        self._socket.bind(("lo", ETH_P_IP))
        self._socket.settimeout(POLL_S)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        _, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._socket.close()
        assert dropped == 0, f"{dropped} packets were not captured"

    def _listen(self) -> None:
        """Until it is over, and no packet has come for a moment."""
        while True:
            try:
                self._packets.append(self._socket.recv(1 << 17))
            except TimeoutError:
                if self._over.is_set():
                    return

    def packets(self, ports: Collection[int]) -> list[bytes]:
        """The packets to and from some ports."""
        return [packet for packet in self._packets if not _ports(packet).isdisjoint(ports)]

    def connections(self, ports: Collection[int]) -> list[Connection]:
        """The connections to some ports on which anything was sent."""
        found: list[_Open] = []
        latest: dict[tuple[int, int], _Open] = {}
        for packet in self.packets(ports):
            header = 4 * (packet[0] & 0xF)
            source, target, number, _, offset, flags = struct.unpack_from("!HHIIBB", packet, header)
            outward = target in ports
            key = (source, target) if outward else (target, source)
            if flags & SYN and outward:
                latest[key] = _Open(target, _Stream(number + 1))
                found.append(latest[key])
            elif flags & SYN:
                latest[key].received = _Stream(number + 1)
            elif payload := packet[header + 4 * (offset >> 4) :]:
                stream = latest[key].sent if outward else latest[key].received
                assert stream is not None, "a connection of which the beginning was not captured"
                stream.add(number, payload)
        whole = [Connection(one.port, one.sent.whole(), one.received.whole() if one.received else b"") for one in found]
        return [connection for connection in whole if connection.sent or connection.received]


def _ports(packet: bytes) -> set[int]:
    if packet[9] != TCP:
        return set()
    return set(struct.unpack_from("!HH", packet, 4 * (packet[0] & 0xF)))


@dataclass(frozen=True, slots=True)
class TlsRecord:
    """One record as it stands in a stream."""

    content: Content
    body: bytes


def records(stream: bytes) -> Iterator[TlsRecord]:
    """The records of a stream; NotTls if it is not made of them. The last may be cut off with its connection."""
    start = 0
    while start < len(stream):
        header = stream[start : start + 5]
        if header[0] not in set(Content) or header[1:2] not in (b"\x03", b""):
            raise NotTls(f"bytes that begin no record, at {start}")
        if len(header) < 5:
            return
        size = int.from_bytes(header[3:])
        if not 1 <= size <= MOST_BYTES:
            raise NotTls(f"a record of {size} bytes, at {start}")
        yield TlsRecord(Content(header[0]), stream[start + 5 : start + 5 + size])
        start += 5 + size


def require_tls_1_3(connection: Connection) -> None:
    """Each side says hello in TLS 1.3, and whatever follows is encrypted; NotTls otherwise."""
    for stream, hello, who in (
        (connection.sent, CLIENT_HELLO, "who connected"),
        (connection.received, SERVER_HELLO, "who accepted"),
    ):
        first, *rest = records(stream) if stream else [TlsRecord(Content.ALERT, b"")]
        if first.content is not Content.HANDSHAKE or first.body[0] != hello:
            raise NotTls(f"{who} did not say hello first")
        if (versions := _versions(first.body)) != [TLS_1_3]:
            raise NotTls(f"{who} says version {versions} in its hello, not TLS 1.3 alone")
        plain = [record.content for record in rest if not _is_encrypted(record)]
        if plain:
            raise NotTls(f"{who} sent records in the clear after its hello: {plain}")


def _is_encrypted(record: TlsRecord) -> bool:
    # For middleboxes both sides send one byte that TLS 1.3 gives no meaning to (RFC 8446, D.4).
    return record.content is Content.APPLICATION_DATA or (
        record.content is Content.CHANGE_CIPHER_SPEC and record.body == b"\x01"
    )


def _versions(hello: bytes) -> list[int]:
    """What the extension `supported_versions` of a hello holds; that of a server is one version."""
    try:
        at = 4 + 2 + 32
        at += 1 + hello[at]  # session
        if hello[0] == CLIENT_HELLO:
            at += 2 + int.from_bytes(hello[at : at + 2])  # ciphers
            at += 1 + hello[at]  # compression
        else:
            at += 3
        end = at + 2 + int.from_bytes(hello[at : at + 2])
        at += 2
        while at < end:
            kind, size = struct.unpack_from("!HH", hello, at)
            body = hello[at + 4 : at + 4 + size]
            if kind == SUPPORTED_VERSIONS:
                body = body[1:] if hello[0] == CLIENT_HELLO else body
                return [version for (version,) in struct.iter_unpack("!H", body)]
            at += 4 + size
    except (IndexError, struct.error):
        raise NotTls("a hello that ends too early") from None
    return []
