"""Data links over real TLS connections."""

import os
import ssl
import time
from collections.abc import Callable

import pytest

from tests.unit.worker.threads import in_thread
from triveni.mpc.execute.machine import PeerLost
from triveni.worker.links import DataLinks, LinkLost

MEGABYTE = 1 << 20


def test_frames_arrive_whole_and_in_order(three_links: list[DataLinks]) -> None:
    zero, one, _ = three_links
    frames = [os.urandom(size) for size in (1, 16384, 7, 16385, 40_000)]
    for frame in frames:
        zero.send(1, memoryview(frame))
    zero.flush()
    assert [bytes(one.receive(0, len(frame))) for frame in frames] == frames
    assert zero.bytes_sent == sum(map(len, frames))


def test_all_three_send_to_each_other_more_than_the_sockets_hold_without_waiting_for_ever(
    three_links: list[DataLinks],
) -> None:
    frames = {(p, q): os.urandom(8 * MEGABYTE) for p in range(3) for q in range(3) if p != q}

    def exchange(party: int) -> list[bytes]:
        links = three_links[party]
        for peer in links.peers:
            links.send(peer, memoryview(frames[party, peer]))
        got = [bytes(links.receive(peer, 8 * MEGABYTE)) for peer in links.peers]
        links.flush()
        return got

    running = [in_thread(lambda party=party: exchange(party)) for party in range(3)]
    for party, done in enumerate(running):
        assert done.result(30) == [frames[peer, party] for peer in three_links[party].peers]


def test_frames_behind_a_large_one_keep_their_order(three_links: list[DataLinks]) -> None:
    zero, one, _ = three_links
    large, small = os.urandom(8 * MEGABYTE), [os.urandom(100) for _ in range(50)]
    zero.send(1, memoryview(large))
    for frame in small:
        zero.send(1, memoryview(frame))
    reading = in_thread(lambda: [bytes(one.receive(0, len(frame))) for frame in (large, *small)])
    zero.flush()
    assert reading.result(10) == [large, *small]


def test_flush_returns_only_when_everything_is_handed_over(three_links: list[DataLinks]) -> None:
    zero, one, _ = three_links
    zero.send(1, memoryview(bytes(8 * MEGABYTE)))
    flushing = in_thread(zero.flush)
    with pytest.raises(TimeoutError):
        flushing.result(0.1)
    one.receive(0, 8 * MEGABYTE)
    flushing.result(5)


def test_a_link_that_ends_is_a_lost_peer_after_the_last_byte(three_links: list[DataLinks]) -> None:
    zero, one, _ = three_links
    zero.send(1, memoryview(b"last"))
    zero.close()
    assert bytes(one.receive(0, 4)) == b"last"
    with pytest.raises(PeerLost) as caught:
        one.receive(0, 1)
    assert caught.value.peer == 0


def test_a_link_that_ends_within_a_frame_is_a_lost_peer(three_links: list[DataLinks]) -> None:
    zero, one, _ = three_links
    zero.send(1, memoryview(b"half"))
    zero.close()
    with pytest.raises(LinkLost, match="its link ended"):
        one.receive(0, 8)


def test_a_silent_peer_is_lost_after_the_timeout(connect: Callable[[int, int], tuple]) -> None:
    out, _keep = connect(0, 1)
    _keep2, into = connect(1, 0)
    links = DataLinks({1: out}, {1: into}, timeout_s=0.1)
    with pytest.raises(LinkLost, match="timeout"):
        links.receive(1, 1)
    links.close()


def test_a_peer_that_does_not_read_is_lost_after_the_timeout(connect: Callable[[int, int], tuple]) -> None:
    out, _keep = connect(0, 1)
    _keep2, into = connect(1, 0)
    links = DataLinks({1: out}, {1: into}, timeout_s=0.1)
    links.send(1, memoryview(bytes(8 * MEGABYTE)))
    with pytest.raises(LinkLost, match="timeout"):
        links.flush()
    with pytest.raises(LinkLost, match="timeout"):
        links.receive(1, 1)
    links.close()


def send_until_it_breaks(links: DataLinks, peer: int) -> None:
    """The system says only after some time that the other end is closed."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        links.send(peer, memoryview(bytes(1000)))
        links.require_unbroken()


def test_a_send_to_a_dead_peer_does_not_end_a_run_that_needs_nothing_more_of_it(three_links: list[DataLinks]) -> None:
    zero, one, two = three_links
    two.send(0, memoryview(b"all that zero needs"))
    two.close()
    one.send(0, memoryview(b"from one"))
    with pytest.raises(LinkLost) as caught:
        send_until_it_breaks(zero, 2)
    assert caught.value.peer == 2
    zero.send(1, memoryview(b"still works"))
    zero.flush()
    assert bytes(zero.receive(2, 19)) == b"all that zero needs"
    assert bytes(zero.receive(1, 8)) == b"from one"
    assert bytes(one.receive(0, 11)) == b"still works"


def test_idle_sees_what_a_peer_sent_even_if_tls_has_read_it_already(three_links: list[DataLinks]) -> None:
    zero, one, _ = three_links
    zero.send(1, memoryview(b"abcdefgh"))
    assert one.idle(0, 5)
    one.receive(0, 4)
    assert one.idle(0, 0), "the rest is inside TLS, where no event tells of it"
    one.receive(0, 4)
    assert not one.idle(0, 0)


def test_idle_ends_at_a_wake_from_another_thread_even_if_it_came_first(three_links: list[DataLinks]) -> None:
    links = three_links[0]
    links.wake()
    assert not links.idle(None, 5)
    waiting = in_thread(lambda: links.idle(None, 5))
    began = time.monotonic()
    links.wake()
    assert waiting.result(5) is False
    assert time.monotonic() - began < 3


def test_idle_notices_the_death_of_either_peer(three_links: list[DataLinks]) -> None:
    _zero, one, two = three_links
    waiting = in_thread(lambda: one.idle(0, 5))
    two.close()
    with pytest.raises(LinkLost) as caught:
        waiting.result(5)
    assert caught.value.peer == 2


def test_idle_gives_what_is_there_before_it_tells_of_a_death(three_links: list[DataLinks]) -> None:
    zero, one, _ = three_links
    zero.send(1, memoryview(b"order"))
    zero.close()
    assert one.idle(0, 5)
    assert bytes(one.receive(0, 5)) == b"order"
    with pytest.raises(LinkLost):
        one.receive(0, 1)


def test_cut_wakes_a_thread_that_waits_for_a_peer(three_links: list[DataLinks]) -> None:
    links = three_links[1]
    waiting = in_thread(lambda: links.receive(0, 1))
    with pytest.raises(TimeoutError):
        waiting.result(0.05)
    links.cut()
    with pytest.raises(LinkLost):
        waiting.result(5)


def test_what_travels_is_encrypted(connect: Callable[[int, int], tuple]) -> None:
    out, into = connect(0, 1)
    assert isinstance(out, ssl.SSLSocket)
    assert out.version() == into.version() == "TLSv1.3"
