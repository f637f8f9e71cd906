"""Control links over real TLS, on an event loop."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from triveni.worker.control import MAX_BACKLOG, ControlLink
from triveni.worker.frame import InvalidFrame

Connect = Callable[[int, int], tuple]


class End:
    """One end of a control link, and all that it was told."""

    def __init__(self, sock: Any, peer: int) -> None:
        self.got: asyncio.Queue[Any] = asyncio.Queue()
        self.lost: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self.link = ControlLink(peer, sock, self.take, lambda peer, problem: self.lost.put_nowait((peer, problem)))

    def take(self, _peer: int, message: Any) -> None:
        if message == ["bad"]:
            raise InvalidFrame("is bad")
        self.got.put_nowait(message)

    async def next(self) -> Any:
        async with asyncio.timeout(5):
            return await self.got.get()

    async def loss(self) -> tuple[int, str]:
        async with asyncio.timeout(5):
            return await self.lost.get()


async def test_messages_arrive_in_order_in_both_directions(connect: Connect) -> None:
    near, far = connect(1, 0)
    one, zero = End(near, 0), End(far, 1)
    for number in range(100):
        one.link.send(["arrived", f"c/{number}", 1])
        zero.link.send(["withdrawn", f"c/{number}"])
    for number in range(100):
        assert await zero.next() == ["arrived", f"c/{number}", 1]
        assert await one.next() == ["withdrawn", f"c/{number}"]


async def test_a_message_that_came_before_the_link_was_watched_is_not_forgotten(connect: Connect) -> None:
    near, far = connect(1, 0)
    one = End(near, 0)
    one.link.send(["early"])
    far.settimeout(5)
    zero = End(far, 1)
    assert await zero.next() == ["early"]


async def test_more_than_the_socket_holds_arrives_once_it_is_read(connect: Connect) -> None:
    near, far = connect(1, 0)
    one = End(near, 0)
    text = "x" * 100_000
    for _ in range(60):
        one.link.send([text])
    zero = End(far, 1)
    for _ in range(60):
        assert await zero.next() == [text]
    one.link.send(["after"])
    assert await zero.next() == ["after"]


async def test_a_peer_that_never_reads_is_lost_before_it_costs_too_much(connect: Connect) -> None:
    near, _far = connect(1, 0)
    one = End(near, 0)
    for _ in range(MAX_BACKLOG // 100_000 + 60):
        one.link.send(["x" * 100_000])
    assert "does not read" in (await one.loss())[1]


async def test_the_end_of_a_peer_is_noticed_once(connect: Connect) -> None:
    near, far = connect(1, 0)
    one, zero = End(near, 0), End(far, 1)
    zero.link.close()
    peer, _problem = await one.loss()
    assert peer == 0
    one.link.send(["to nobody"])
    assert one.lost.empty()
    assert zero.lost.empty(), "who closes a link does not lose it"


@pytest.mark.parametrize("data", [b"\0\0\0\0", b"\0\0\0\1x", b'\0\0\0\x07["bad"]'])
async def test_a_message_that_is_not_one_ends_the_link(connect: Connect, data: bytes) -> None:
    near, far = connect(1, 0)
    zero = End(far, 1)
    near.sendall(data)
    peer, problem = await zero.loss()
    assert peer == 1
    assert "a message of a peer" in problem
