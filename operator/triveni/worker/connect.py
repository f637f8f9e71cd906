"""How three workers find each other: who may connect, in whatever order they start, until a deadline.

Each worker makes one data link to each peer, and workers 1 and 2 make a control link to worker 0. Both sides decide by
the other's certificate alone; the accepting side answers before the link counts, since in TLS 1.3 the connecting side
cannot know otherwise that its certificate was accepted. Once all links are there nobody is accepted any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from triveni.identity.names import Identity, Role
from triveni.identity.tls import WrongPeer, handshake_problem, peer_identity
from triveni.worker import frame
from triveni.worker.config import Address
from triveni.worker.greeting import receive, send, when_ready
from triveni.worker.handshakes import Handshakes
from triveni.worker.log import Log, Refusals

CONNECT_S = 1.0
"""For TCP alone. While the cluster's network does not know an address yet, it may swallow what is sent there; a new
attempt is faster than the system's own, which come after 1, 3 and 7 seconds."""

HANDSHAKE_S = 10.0
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 0.25
HANDSHAKES_AT_ONCE = 64


class Kind(StrEnum):
    """What a link is for."""

    DATA = "data"
    CONTROL = "control"


@dataclass(eq=False)
class PeersUnreachable(Exception):
    """The deadline passed; `missing` says for each link that is not there what the last problem was."""

    missing: tuple[str, ...]

    def __str__(self) -> str:
        return "not all workers can be reached: " + "; ".join(self.missing)


@dataclass(frozen=True)
class Connections:
    """All links of one worker: data links to and from its peers, and control links (either way) by peer."""

    outgoing: dict[int, ssl.SSLSocket] = field(default_factory=dict)
    incoming: dict[int, ssl.SSLSocket] = field(default_factory=dict)
    control: dict[int, ssl.SSLSocket] = field(default_factory=dict)

    def close(self) -> None:
        """Close them all."""
        for sock in (*self.outgoing.values(), *self.incoming.values(), *self.control.values()):
            sock.close()


@dataclass(frozen=True)
class Meeting:
    """What it takes to meet: who I am, where I listen, where the others do, and the TLS contexts for both."""

    me: Identity
    listener: socket.socket
    peers: Mapping[int, Address]
    accepting: ssl.SSLContext
    connecting: ssl.SSLContext
    log: Log

    @property
    def party(self) -> int:
        """My own number."""
        assert self.me.party is not None
        return self.me.party

    def peer(self, party: int) -> Identity:
        """Who worker `party` of my epoch is."""
        return Identity.worker(self.me.namespace, self.me.uid, self.me.epoch or 0, party)


def require_acceptable(me: Identity, other: Identity) -> int:
    """The party of a worker that may connect to me: one of the other two of my own epoch.

    Raises:
        WrongPeer: anyone else.
    """
    same_epoch = (me.namespace, me.uid, me.epoch) == (other.namespace, other.uid, other.epoch)
    if other.role is not Role.WORKER or other.party is None or other.party == me.party or not same_epoch:
        raise WrongPeer(f"another worker of {me.namespace}/{me.uid} in epoch {me.epoch}", other.uri)
    return other.party


async def meet(meeting: Meeting, timeout_s: float) -> Connections:
    """Connect to both peers and be connected to by both.

    Raises:
        PeersUnreachable: not all links were there in time.
    """
    links = Connections()
    problems: dict[str, str] = {}
    acceptor = _Acceptor(meeting, links)
    # A closed link's socket has to go, should this be cancelled or time out halfway.
    try:
        async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as group:
            accepting = group.create_task(acceptor.run())
            for party, address in meeting.peers.items():
                kinds = [Kind.DATA, Kind.CONTROL] if party == 0 else [Kind.DATA]
                for kind in kinds:
                    group.create_task(_connect(meeting, links, party, address, kind, problems))
            group.create_task(acceptor.complete(accepting))
    except TimeoutError:
        missing = _missing(meeting, links, problems)
        links.close()
        raise PeersUnreachable(missing) from None
    except BaseException:
        links.close()
        raise
    return links


def _missing(meeting: Meeting, links: Connections, problems: Mapping[str, str]) -> tuple[str, ...]:
    texts = []
    for party, address in meeting.peers.items():
        if party not in links.outgoing:
            texts.append(f"worker {party} at {address}: {problems.get(f'{Kind.DATA} {party}', 'no answer')}")
        if party not in links.incoming:
            texts.append(f"worker {party} did not connect to this one")
    return tuple(texts) or ("the control link to worker 0 is missing",)


async def _connect(
    meeting: Meeting, links: Connections, party: int, address: Address, kind: Kind, problems: dict[str, str]
) -> None:
    """Connect until it works; the last problem goes to `problems`, each new one to the log."""
    delay = RETRY_FIRST_S
    while True:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                sock = await _connect_once(meeting, party, address, kind)
            (links.outgoing if kind is Kind.DATA else links.control)[party] = sock
            return
        except (OSError, WrongPeer, frame.InvalidFrame, _Refused) as error:
            problem = _text(error)
            if problems.get(f"{kind} {party}") != problem:
                problems[f"{kind} {party}"] = problem
                meeting.log.debug("peer not reached", peer=party, link=kind, address=str(address), problem=problem)
        await asyncio.sleep(delay)
        delay = min(delay * 1.5, RETRY_MOST_S)


@dataclass(eq=False)
class _Refused(Exception):
    problem: str

    def __str__(self) -> str:
        return f"it refused: {self.problem}"


async def _connect_once(meeting: Meeting, party: int, address: Address, kind: Kind) -> ssl.SSLSocket:
    raw = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(raw, (address.host, address.port))
        sock = meeting.connecting.wrap_socket(raw, do_handshake_on_connect=False)
    except BaseException:
        raw.close()
        raise
    try:
        await when_ready(sock, sock.do_handshake)
        got = peer_identity(sock)
        if got != meeting.peer(party):
            raise WrongPeer(meeting.peer(party).uri, got.uri)
        await send(sock, {"kind": kind, "epoch": meeting.me.epoch})
        answer = await receive(sock)
        if answer != {"accepted": True}:
            raise _Refused(str(answer.get("refused", "without a reason"))[:200] if isinstance(answer, dict) else "?")
    except BaseException:
        sock.close()
        raise
    return sock


class _Acceptor:
    """Accepts the peers' links, refuses everyone else, and knows when all are there."""

    def __init__(self, meeting: Meeting, links: Connections) -> None:
        self._meeting = meeting
        self._links = links
        self._all_there = asyncio.Event()
        self._expected = 4 if meeting.party == 0 else 2  # data links of two peers, and at worker 0 their control links
        self._greeted = 0
        self._refusals = Refusals(meeting.log)

    async def run(self) -> None:
        """Accept until cancelled."""
        await Handshakes(HANDSHAKES_AT_ONCE, self._log_refused).accept(self._meeting.listener, self._handle)

    async def complete(self, accepting: asyncio.Task[None]) -> None:
        """Wait for the last link, then stop accepting."""
        await self._all_there.wait()
        accepting.cancel()

    async def _handle(self, raw: socket.socket, address: str) -> None:
        sock: ssl.SSLSocket | None = None
        kept = False
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(HANDSHAKE_S):
                sock = self._meeting.accepting.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
                await when_ready(sock, sock.do_handshake)
                kept = await self._admit(sock)
        except (OSError, ssl.SSLError, frame.InvalidFrame) as error:
            self._log_refused(address, _text(error))
        finally:
            if not kept:
                (sock or raw).close()

    async def _admit(self, sock: ssl.SSLSocket) -> bool:
        """Whether the other end of a link is who it has to be; it is told."""
        try:
            other = peer_identity(sock)
            party = require_acceptable(self._meeting.me, other)
            table = self._table(await receive(sock), party)
        except WrongPeer as error:
            self._log_refused(error.got, str(error))
            with contextlib.suppress(OSError):
                await send(sock, {"refused": str(error)})
            return False
        table[party] = sock
        try:
            await send(sock, {"accepted": True})
        except BaseException:
            del table[party]
            raise
        self._greeted += 1
        if self._greeted == self._expected:
            self._all_there.set()
        return True

    def _table(self, hello: object, party: int) -> dict[int, ssl.SSLSocket]:
        """Where a link with this hello belongs; WrongPeer if it does not."""
        match hello:
            case {"kind": Kind.DATA, "epoch": self._meeting.me.epoch}:
                table = self._links.incoming
            case {"kind": Kind.CONTROL, "epoch": self._meeting.me.epoch} if self._meeting.party == 0:
                table = self._links.control
            case _:
                raise WrongPeer("a link of this epoch that is missing", f"worker {party} with another one")
        if party in table:
            raise WrongPeer("a link that is missing", f"worker {party}, which is connected already")
        return table

    def _log_refused(self, who: str, why: str) -> None:
        self._refusals.note("peer refused", who, why)


def _text(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return handshake_problem(error) if isinstance(error, OSError) else str(error)
