"""Three machines in three threads of one process, joined by queues; for the tests of the engine.

Keys are made as workers make them. `expected` is what the oracle gives for the same keys, run and request.
"""

from __future__ import annotations

import queue
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.execute.interpret import evaluate_all
from triveni.mpc.execute.machine import Machine, PeerLost
from triveni.mpc.ops import NUMPY
from triveni.mpc.program import PARTIES, Node, Program
from triveni.mpc.randomness import (
    EpochContext,
    Holders,
    Keystreams,
    Secret,
    draw_layout,
    new_contribution,
    pair_secret,
    private_secret,
)
from triveni.mpc.sharing import components_of, split

Words = NDArray[np.int64]

CONTEXT = EpochContext("default", "9d3c", 1, "00" * 32)

DEADLINE_S = 30.0


@dataclass
class Network:
    """Links between three parties; `sent` keeps every frame of each ordered pair."""

    sent: dict[tuple[int, int], list[bytes]] = field(default_factory=lambda: defaultdict(list))
    queues: dict[tuple[int, int], queue.SimpleQueue[bytes | None]] = field(
        default_factory=lambda: defaultdict(queue.SimpleQueue)
    )

    def __post_init__(self) -> None:
        for pair in [(a, b) for a in PARTIES for b in PARTIES]:
            self.queues[pair], self.sent[pair] = queue.SimpleQueue(), []

    def links(self, party: int) -> Links:
        return Links(self, party)


@dataclass
class Links:
    network: Network
    party: int

    def send(self, peer: int, frame: memoryview) -> None:
        self.network.sent[self.party, peer].append(bytes(frame))
        self.network.queues[self.party, peer].put(bytes(frame))

    def receive_into(self, peer: int, buffer: memoryview) -> None:
        try:
            frame = self.network.queues[peer, self.party].get(timeout=DEADLINE_S)
        except queue.Empty:
            raise PeerLost(peer) from None
        if frame is None:
            raise PeerLost(peer)
        assert len(frame) == len(buffer), "a frame of another length than the receiver counts on"
        buffer[:] = frame


def secrets_of_three() -> list[dict[Holders, Secret]]:
    """The keys of parties 0, 1 and 2."""
    contributions = {(a, b): new_contribution() for a in PARTIES for b in PARTIES}
    result = []
    for party in PARTIES:
        mine: dict[Holders, Secret] = {(party,): private_secret()}
        for peer in set(PARTIES) - {party}:
            pair = (contributions[party, peer], contributions[peer, party])
            mine[min(party, peer), max(party, peer)] = pair_secret(*pair, party, peer, CONTEXT)
        result.append(mine)
    return result


class Three:
    """Three machines with one program and the shares of the same weights."""

    def __init__(
        self,
        program: Program,
        weights: Mapping[str, Words] | None = None,
        native: Sequence[bool] | bool = False,
        max_rows: int = 8,
        secrets: list[dict[Holders, Secret]] | None = None,
    ) -> None:
        self.program = program
        self.secrets = secrets or secrets_of_three()
        self.network = Network()
        self.shares = {name: split(words, program.protocol) for name, words in (weights or {}).items()}
        natives = [native] * 3 if isinstance(native, bool) else native
        self.machines = [
            Machine(program, party, Keystreams(self.secrets[party], CONTEXT), max_rows, natives[party])
            for party in PARTIES
        ]

    def load(self) -> Three:
        for party, machine in enumerate(self.machines):
            machine.load_weights({name: self.held(party, components) for name, components in self.shares.items()})
        return self

    def held(self, party: int, components: Sequence[Words]) -> tuple[Words, ...]:
        """Those of all components of a secret that a party holds."""
        return tuple(components[number] for number in components_of(party, self.program.protocol))

    def run(self, run: int, x: Sequence[Words]) -> list[tuple[Words, ...]]:
        """What each party answers to the components of a request."""
        rows = len(x[0])

        def one(party: int) -> tuple[Words, ...]:
            links = self.network.links(party)
            self.machines[party].ahead(run, rows, links)
            return self.machines[party].online(run, rows, self.held(party, x), links)

        return at_the_same_time(one)

    def expected(self, run: int, x: Sequence[Words]) -> dict[Node, NDArray[Any]]:
        """The oracle's value of every node."""
        rows = len(x[0])
        layouts = {epoch: draw_layout(self.program, epoch=epoch) for epoch in (False, True)}
        streams = {}
        for epoch, holders in [(kind, holders) for kind in layouts for holders in layouts[kind]]:
            stream = streams[holders, epoch] = bytearray(layouts[epoch][holders].size.at(rows))
            keys = Keystreams({holders: self.secrets[holders[0]][holders]}, CONTEXT)
            if epoch:
                keys.fill_epoch(holders, memoryview(stream))
            else:
                keys.fill(holders, run, memoryview(stream))

        def draw(node: Node) -> NDArray[Any]:
            assert node.draw is not None
            start = layouts[node.draw.epoch][node.draw.holders].offsets[node.draw.index].at(rows)
            data = np.frombuffer(
                streams[node.draw.holders, node.draw.epoch][start : start + node.nbytes.at(rows)], np.uint8
            )
            data = data & 1 if node.dtype == "b1" else data
            return data.view(NUMPY[node.dtype]).reshape([dim.at(rows) for dim in node.shape])

        def given(node: Node) -> NDArray[Any]:
            assert node.input is not None
            components = x if node.input.is_request else self.shares[node.input.name]
            return components[node.input.component]

        return evaluate_all(self.program, given, draw, rows)

    def assert_as_the_oracle(self, run: int, x: Sequence[Words]) -> list[tuple[Words, ...]]:
        """Run, and compare all answers."""
        answers, values = self.run(run, x), self.expected(run, x)
        for party in PARTIES:
            for answer, node in zip(answers[party], self.program.outputs[party], strict=True):
                assert np.array_equal(answer, values[node].reshape(answer.shape))
        return answers


def at_the_same_time(function: Callable[[int], Any]) -> list[Any]:
    """The results of `function` for the three parties, each in a thread; an error of one is raised."""
    with ThreadPoolExecutor(3) as pool:
        parties = [pool.submit(function, party) for party in PARTIES]
        return [party.result(2 * DEADLINE_S) for party in parties]
