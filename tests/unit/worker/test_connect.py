"""How workers meet, over real TLS on loopback."""

import asyncio
import io
import json
import socket
from collections.abc import Callable, Iterator

import pytest

from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import WrongPeer, client_context, server_context
from triveni.worker import connect as module
from triveni.worker.config import Address
from triveni.worker.connect import Connections, Meeting, PeersUnreachable, meet, require_acceptable
from triveni.worker.log import Log

ME = Identity.worker("default", "uid", 1, 0)


@pytest.fixture
def lines() -> io.StringIO:
    return io.StringIO()


def listener() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(16)
    return sock


@pytest.fixture
def meetings(worker_credentials: list[Credentials], lines: io.StringIO) -> Iterator[list[Meeting]]:
    log = Log.to("debug", {}, lines)
    listeners = [listener() for _ in range(3)]
    places = {party: Address("127.0.0.1", sock.getsockname()[1]) for party, sock in enumerate(listeners)}
    yield [
        Meeting(
            Identity.worker("default", "uid", 1, party),
            listeners[party],
            {peer: place for peer, place in places.items() if peer != party},
            server_context(worker_credentials[party]),
            client_context(worker_credentials[party]),
            log,
        )
        for party in range(3)
    ]
    for sock in listeners:
        sock.close()


def check(all_links: list[Connections]) -> None:
    """Every link is there, and leads to where it should."""
    for party, links in enumerate(all_links):
        peers = {0, 1, 2} - {party}
        assert set(links.outgoing) == set(links.incoming) == peers
        assert set(links.control) == (peers if party == 0 else {0})
    for sender in range(3):
        for receiver in {0, 1, 2} - {sender}:
            near, far = all_links[sender].outgoing[receiver], all_links[receiver].incoming[sender]
            near.settimeout(5)
            far.settimeout(5)
            near.sendall(b"hello")
            assert far.recv(5) == b"hello"
    for links in all_links:
        links.close()


async def test_three_workers_that_start_at_once_meet(meetings: list[Meeting]) -> None:
    check(list(await asyncio.gather(*(meet(meeting, 10) for meeting in meetings))))


@pytest.mark.parametrize("late", [0, 1, 2])
async def test_a_worker_that_starts_late_is_waited_for(meetings: list[Meeting], late: int) -> None:
    port = meetings[late].listener.getsockname()[1]
    meetings[late].listener.close()
    early = [asyncio.create_task(meet(meetings[party], 10)) for party in range(3) if party != late]
    await asyncio.wait(early, timeout=0.2)
    assert not any(task.done() for task in early)
    again = socket.socket()
    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    again.bind(("127.0.0.1", port))
    again.listen(16)
    there = meetings[late]
    meeting = Meeting(there.me, again, there.peers, there.accepting, there.connecting, there.log)
    links = dict(zip([p for p in range(3) if p != late], early, strict=True))
    with again:
        last = await meet(meeting, 10)
    check([last if party == late else await links[party] for party in range(3)])


async def test_an_address_that_swallows_packets_is_tried_anew_at_once(
    meetings: list[Meeting], lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a Service's is until every node knows it: waiting for the system to repeat itself would cost seconds."""
    monkeypatch.setattr(module, "CONNECT_S", 0.05)
    deaf = meetings[0].listener
    deaf.listen(0)
    with socket.create_connection(deaf.getsockname()):  # no room for another: Linux drops what comes
        others = [asyncio.create_task(meet(meetings[party], 10)) for party in (1, 2)]
        while lines.getvalue().count("no answer in time") < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    deaf.listen(16)
    check([await meet(meetings[0], 10), *await asyncio.gather(*others)])


async def test_a_worker_that_never_comes_is_named_at_the_deadline(meetings: list[Meeting]) -> None:
    meetings[2].listener.close()
    ends = await asyncio.gather(*(meet(meetings[party], 0.5) for party in (0, 1)), return_exceptions=True)
    for end in ends:
        assert isinstance(end, PeersUnreachable)
        assert "worker 2" in str(end)
        assert str(meetings[0].peers[2]) in str(end)


@pytest.mark.parametrize(
    "other",
    [
        Identity.worker("default", "uid", 1, 0),
        Identity.worker("default", "uid", 2, 1),
        Identity.worker("default", "another", 1, 1),
        Identity.worker("elsewhere", "uid", 1, 1),
        Identity.sharing_job("default", "uid", 1),
        Identity.of_client("default", "uid", "alice"),
    ],
    ids=str,
)
def test_only_another_worker_of_the_same_epoch_may_connect(other: Identity) -> None:
    with pytest.raises(WrongPeer) as caught:
        require_acceptable(ME, other)
    assert caught.value.got == other.uri


def test_both_others_of_the_epoch_may_connect() -> None:
    assert [require_acceptable(ME, Identity.worker("default", "uid", 1, party)) for party in (1, 2)] == [1, 2]


async def greet(meeting: Meeting, credentials: Credentials, hello: object = None) -> object:
    """What an intruder with these credentials is told; None if it is cut off."""
    context = client_context(credentials)
    port = meeting.listener.getsockname()[1]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(module.frame.encode(hello or {"kind": "data", "epoch": 1}))
        size = module.frame.length(await reader.readexactly(4))
        return module.frame.decode(await reader.readexactly(size))
    except (OSError, asyncio.IncompleteReadError):
        return None
    finally:
        if "writer" in locals():
            writer.close()


INTRUDERS: dict[str, Callable[[Authority], Credentials]] = {
    "another epoch": lambda authority: authority.issue(Identity.worker("default", "uid", 2, 1)),
    "the sharing job": lambda authority: authority.issue(Identity.sharing_job("default", "uid", 1)),
    "a client": lambda authority: authority.issue(Identity.of_client("default", "uid", "eve")),
    "my own party": lambda authority: authority.issue(Identity.worker("default", "uid", 1, 0)),
}


@pytest.mark.parametrize("who", INTRUDERS)
async def test_an_intruder_is_told_so_and_logged_once_and_the_workers_still_meet(
    authority: Authority, meetings: list[Meeting], lines: io.StringIO, who: str
) -> None:
    meeting_0 = asyncio.create_task(meet(meetings[0], 10))
    credentials = INTRUDERS[who](authority)
    for _ in range(3):
        told = await greet(meetings[0], credentials)
        assert isinstance(told, dict)
        assert "refused" in told
    others = await asyncio.gather(*(meet(meetings[party], 10) for party in (1, 2)))
    check([await meeting_0, *others])
    refused = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "peer refused"]
    assert len(refused) == 1
    assert refused[0]["level"] == "warning"
    assert refused[0]["who"].startswith("triveni://default/uid/")


async def test_a_certificate_of_another_authority_does_not_pass_tls(
    meetings: list[Meeting], lines: io.StringIO
) -> None:
    meeting_0 = asyncio.create_task(meet(meetings[0], 10))
    foreign = Authority.create("default", "uid").issue(Identity.worker("default", "uid", 1, 1))
    mixed = Credentials(foreign.certificate, foreign.key, Authority.create("default", "uid").issue(ME).ca)
    assert await greet(meetings[0], mixed) is None
    others = await asyncio.gather(*(meet(meetings[party], 10) for party in (1, 2)))
    check([await meeting_0, *others])


@pytest.mark.parametrize(
    "hello", [{"kind": "data", "epoch": 2}, {"kind": "gossip", "epoch": 1}, {"kind": "data"}, [], "data", None]
)
async def test_a_worker_with_a_wrong_greeting_is_refused(
    meetings: list[Meeting], worker_credentials: list[Credentials], hello: object
) -> None:
    meeting_0 = asyncio.create_task(meet(meetings[0], 10))
    told = await greet(meetings[0], worker_credentials[1], hello or ["nothing"])
    assert isinstance(told, dict)
    assert "refused" in told
    others = await asyncio.gather(*(meet(meetings[party], 10) for party in (1, 2)))
    check([await meeting_0, *others])


async def test_a_second_link_of_a_connected_worker_is_refused(
    meetings: list[Meeting], worker_credentials: list[Credentials]
) -> None:
    """Which of the two links the peer uses would otherwise be chance."""
    meeting_0 = asyncio.create_task(meet(meetings[0], 10))
    assert await greet(meetings[0], worker_credentials[1]) == {"accepted": True}
    told = await greet(meetings[0], worker_credentials[1])
    assert isinstance(told, dict)
    assert "connected already" in str(told["refused"])
    meeting_0.cancel()


async def test_a_stranger_that_says_nothing_keeps_nobody_waiting(meetings: list[Meeting]) -> None:
    silent = [socket.create_connection(meetings[0].listener.getsockname()) for _ in range(5)]
    check(list(await asyncio.gather(*(meet(meeting, 10) for meeting in meetings))))
    for sock in silent:
        sock.close()


async def test_strangers_that_say_nothing_take_no_place_of_a_peer_however_many_they_are(
    meetings: list[Meeting], lines: io.StringIO
) -> None:
    meeting_0 = asyncio.create_task(meet(meetings[0], 10))
    place = meetings[0].listener.getsockname()
    silent = [await asyncio.open_connection(*place) for _ in range(module.HANDSHAKES_AT_ONCE + 20)]
    others = await asyncio.gather(*(meet(meetings[party], 10) for party in (1, 2)))
    check([await meeting_0, *others])
    for _, writer in silent:
        writer.transport.abort()
    refused = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "peer refused"]
    assert [line["who"] for line in refused] == ["127.0.0.1"]


async def test_a_server_that_is_somebody_else_gets_no_greeting(
    authority: Authority, meetings: list[Meeting], lines: io.StringIO
) -> None:
    """A port that a worker of another epoch still holds."""
    old = server_context(authority.issue(Identity.worker("default", "uid", 2, 1)))
    said = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=old)
    place = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    there = meetings[0]
    meeting = Meeting(
        there.me, there.listener, {1: place, 2: there.peers[2]}, there.accepting, there.connecting, there.log
    )
    with pytest.raises(PeersUnreachable, match="epoch/2/worker/1"):
        await meet(meeting, 0.5)
    assert set(said) <= {b""}
    server.close()


async def test_a_cancelled_meeting_leaves_nothing_open(meetings: list[Meeting]) -> None:
    meeting_0 = asyncio.create_task(meet(meetings[0], 10))
    meeting_1 = asyncio.create_task(meet(meetings[1], 10))
    await asyncio.wait([meeting_0], timeout=0.3)
    for task in (meeting_0, meeting_1):
        task.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError)
        for end in await asyncio.gather(meeting_0, meeting_1, return_exceptions=True)
    )
