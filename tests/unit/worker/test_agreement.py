"""Key agreement between three workers over real links."""

import threading
from concurrent.futures import Future

from tests.unit.worker.threads import in_thread
from triveni.mpc.execute.machine import PeerLost
from triveni.mpc.randomness import EpochContext, Keystreams
from triveni.worker.agreement import ProgramsDiffer, Stopped, agree
from triveni.worker.links import DataLinks

DIGEST = "ab" * 32


def context(digest: str = DIGEST) -> EpochContext:
    return EpochContext("default", "uid", 1, digest)


def start(links: list[DataLinks], digests: list[str], timeout_s: float = 5.0) -> list[Future]:
    def one(party: int) -> Future:
        return in_thread(lambda: agree(links[party], party, context(digests[party]), timeout_s, lambda: False))

    return [one(party) for party in range(len(digests))]


def stream(secrets: dict, holders: tuple[int, ...]) -> bytes:
    buffer = bytearray(64)
    Keystreams(secrets, context()).fill(holders, 1, memoryview(buffer))
    return bytes(buffer)


def test_each_pair_gets_a_secret_of_its_own_and_each_party_a_private_one(three_links: list[DataLinks]) -> None:
    secrets = [done.result(10) for done in start(three_links, [DIGEST] * 3)]
    assert [set(mine) for mine in secrets] == [
        {(0,), (0, 1), (0, 2)},
        {(1,), (0, 1), (1, 2)},
        {(2,), (0, 2), (1, 2)},
    ]
    streams = {}
    for pair in ((0, 1), (0, 2), (1, 2)):
        streams[pair] = stream(secrets[pair[0]], pair)
        assert streams[pair] == stream(secrets[pair[1]], pair)
    for party in range(3):
        streams[party,] = stream(secrets[party], (party,))
    assert len(set(streams.values())) == 6
    # Streams are bound to their holders, so equal secrets would make different ones; the third holds other secrets.
    same = {secret.derive("test", (0,), context()) for mine in secrets for secret in mine.values()}
    assert len(same) == 6


def test_two_agreements_give_different_keys(three_links: list[DataLinks]) -> None:
    first, second = ([done.result(10) for done in start(three_links, [DIGEST] * 3)] for _ in range(2))
    assert stream(first[0], (0, 1)) != stream(second[0], (0, 1))


def test_no_key_is_made_with_a_worker_that_has_another_program(three_links: list[DataLinks]) -> None:
    ends = [done.exception(10) for done in start(three_links, [DIGEST, DIGEST, "cd" * 32])]
    assert all(isinstance(end, ProgramsDiffer) for end in ends)
    assert ends[0].peer == ends[1].peer == 2
    assert "cdcdcdcdcdcd" in str(ends[0])


def test_a_peer_that_dies_meanwhile_is_lost(three_links: list[DataLinks]) -> None:
    running = start(three_links, [DIGEST, DIGEST])
    three_links[2].close()
    assert all(isinstance(done.exception(10), PeerLost) for done in running)


def test_a_peer_that_never_agrees_is_lost_at_the_deadline(three_links: list[DataLinks]) -> None:
    end = start(three_links, [DIGEST, DIGEST], timeout_s=0.2)[0].exception(10)
    assert isinstance(end, PeerLost)
    assert "timeout" in str(end)


def test_a_worker_that_ends_meanwhile_stops_waiting(three_links: list[DataLinks]) -> None:
    stopping = threading.Event()
    running = in_thread(lambda: agree(three_links[0], 0, context(), 30, stopping.is_set))
    stopping.set()
    three_links[0].wake()
    assert isinstance(running.exception(5), Stopped)
