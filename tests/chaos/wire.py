"""What clients send and get, seen where it leaves and enters: delayed, out of order, at times twice, and written down.

It stands in the place of the client's link to a worker. TLS, the protocol and all decisions are the client's own.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

from yarl import URL

import triveni.client.epoch
from triveni.api.inference import HEADER_LENGTH
from triveni.client import Connection
from triveni.client.transport import Reply, WorkerLink, worker_link

TWICE = 0.04
"""How many messages arrive twice."""

ALL = frozenset(range(3))


@dataclass
class Sent:
    """One request in one epoch: to which workers its shares were sent, which of them gave their share of the answer."""

    rows: int
    to: set[int] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)


class Wire:
    """The network between all clients and the workers.

    Args:
        chance: for delays.
        first_answer: told the number of an epoch when the first answer of one of its workers is there.
    """

    def __init__(self, chance: random.Random, first_answer: Callable[[int], None]) -> None:
        self._chance, self._first_answer = chance, first_answer
        self._epochs: dict[int, dict[str, Sent]] = defaultdict(dict)
        self.differing = 0
        """Messages that came twice and got two different answers."""
        self.twice = 0
        """Messages that came twice and got the same answer."""

    @contextmanager
    def between(self) -> Iterator[None]:
        """Every client of this process talks over it while the block lasts."""

        def late(connection: Connection, party: int, epoch: int | None) -> WorkerLink:
            link = worker_link(connection, party, epoch)
            assert epoch is not None
            return LateLink(link.party, link.address, link.session, link.sockets, self, epoch)

        with mock.patch.object(triveni.client.epoch, "worker_link", late):
            yield

    def possible(self, epoch: int) -> int:
        """Rows that some worker may have released its share of: all three were sent theirs."""
        return sum(sent.rows for sent in self._epochs[epoch].values() if sent.to == ALL)

    def answered(self, epoch: int) -> int:
        """Rows whose three answer shares have arrived."""
        return sum(sent.rows for sent in self._epochs[epoch].values() if sent.answered == ALL)

    def epochs(self) -> frozenset[int]:
        """Those in which somebody was asked."""
        return frozenset(self._epochs)

    # --- for the links ---

    def request(self, epoch: int, body: bytes, headers: Mapping[str, str]) -> Sent:
        """The request that a message belongs to."""
        header = json.loads(body[: int(headers[HEADER_LENGTH])])
        rows = int(header["inputs"][0]["shape"][0])
        return self._epochs[epoch].setdefault(header["id"], Sent(rows))

    def seconds(self) -> float:
        """How long the next message takes: some a good deal longer than others, so that they overtake each other."""
        return self._chance.uniform(0, self._chance.choices((0.06, 0.4, 1.2), (87, 11, 2))[0])

    def is_doubled(self) -> bool:
        """Whether the next message arrives twice."""
        return self._chance.random() < TWICE

    def arrived(self, epoch: int, party: int, sent: Sent, replies: list[Reply]) -> None:
        """A worker has answered."""
        good = [reply.body for reply in replies if reply.status == 200]
        if len(good) > 1:
            self.twice += good[0] == good[1]
            self.differing += good[0] != good[1]
        if good:
            if not any(one.answered for one in self._epochs[epoch].values()):
                self._first_answer(epoch)
            sent.answered.add(party)


@dataclass
class LateLink(WorkerLink):
    """A link to one worker by way of the wire."""

    wire: Wire = field(repr=False)
    epoch: int

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str], most: int) -> Reply:
        """As the link, later."""
        sent = self.wire.request(self.epoch, body, headers)
        await asyncio.sleep(self.wire.seconds())
        sent.to.add(self.party)
        times = 2 if self.wire.is_doubled() else 1
        # Together: the second joins the first, or gets the answer that was kept. Both fail if one does.
        replies = await asyncio.gather(*(super(LateLink, self).post(url, body, headers, most) for _ in range(times)))
        self.wire.arrived(self.epoch, self.party, sent, replies)
        await asyncio.sleep(self.wire.seconds())
        return replies[0]
