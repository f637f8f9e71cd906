"""The floor: the rounds and bytes of a run, replayed over the same links between three processes that compute nothing.

``python -m benchmarks.floor DIRECTORY PARTY`` is one of the three. It reads its certificate and `floor.json` from the
directory. Party 0 reads lines ``[plan, repeats]`` and answers each with a JSON list of milliseconds, from its order to
the others until its last frame has arrived; it ends, and the others with it, when its input does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context, server_context
from triveni.local.ports import HOST
from triveni.mpc.program import Node
from triveni.mpc.schedule import PartySchedule
from triveni.worker.config import Address
from triveni.worker.connect import Meeting, meet
from triveni.worker.links import DataLinks
from triveni.worker.log import Log

CONNECT_S, REPLAY_S = 30.0, 30.0
NAMESPACE, UID = "default", "floor"
END = 255


@dataclass(frozen=True, slots=True)
class Round:
    """Bytes that one party sends and receives in one round, for each peer."""

    sends: Mapping[int, int]
    receives: Mapping[int, int]


def rounds(schedule: PartySchedule, rows: int, *, ahead: bool) -> list[Round]:
    """What a party sends and receives once the request is there; with `ahead`, what it does before that as well."""
    steps = (*schedule.ahead, *schedule.online) if ahead else schedule.online
    return [Round(_sizes(step.sends, rows), _sizes(step.receives, rows)) for step in steps]


def _sizes(frames: Mapping[int, Iterable[Node]], rows: int) -> Mapping[int, int]:
    return {peer: sum(node.nbytes.at(rows) for node in nodes) for peer, nodes in frames.items()}


def write_plan(directory: Path, ports: Sequence[int], plans: Sequence[Sequence[Sequence[Round]]]) -> None:
    """Write `floor.json`; `plans[n][party]` are the rounds of plan n."""
    document = {
        "ports": list(ports),
        "plans": [[[[r.sends, r.receives] for r in party] for party in plan] for plan in plans],
    }
    (directory / "floor.json").write_text(json.dumps(document))


class Replay:
    """One party's frames of one plan, ready to send and receive."""

    def __init__(self, plan: Iterable[Any]) -> None:
        self._rounds = [(_buffers(sends), _buffers(receives)) for sends, receives in plan]

    def run(self, links: DataLinks) -> None:
        """Every round once."""
        for sends, receives in self._rounds:
            for peer, frame in sends:
                links.send(peer, frame)
            for peer, frame in receives:
                links.receive_into(peer, frame)
        links.flush()


def _buffers(sizes: Mapping[str, int]) -> list[tuple[int, memoryview]]:
    return [(int(peer), memoryview(bytearray(size))) for peer, size in sizes.items()]


def lead(replays: Sequence[Replay], links: DataLinks) -> None:
    """Party 0: one replay after the other, as often as asked."""
    for line in sys.stdin:
        plan, repeats = json.loads(line)
        times = []
        for _ in range(repeats):
            before = time.perf_counter()
            _order(plan, links)
            replays[plan].run(links)
            times.append((time.perf_counter() - before) * 1e3)
        sys.stdout.write(json.dumps(times) + "\n")
        sys.stdout.flush()
    _order(END, links)


def _order(plan: int, links: DataLinks) -> None:
    for peer in links.peers:
        links.send(peer, memoryview(bytes([plan])))


def follow(replays: Sequence[Replay], links: DataLinks) -> None:
    """Parties 1 and 2: what party 0 orders."""
    while True:
        links.idle(0, None)
        plan = links.receive(0, 1)[0]
        if plan == END:
            return
        replays[plan].run(links)


def main(directory: Path, party: int) -> None:
    """One party, until party 0's input ends."""
    document = json.loads((directory / "floor.json").read_text())
    ports = document["ports"]
    credentials = Credentials.read(directory / f"party-{party}")
    with socket.create_server((HOST, ports[party])) as listener:
        meeting = Meeting(
            Identity.worker(NAMESPACE, UID, 1, party),
            listener,
            {peer: Address(HOST, ports[peer]) for peer in range(3) if peer != party},
            server_context(credentials),
            client_context(credentials),
            Log.to("warning", {"floor": party}),
        )
        connections = asyncio.run(meet(meeting, CONNECT_S))
    links = DataLinks(connections.outgoing, connections.incoming, REPLAY_S)
    replays = [Replay(plan[party]) for plan in document["plans"]]
    try:
        (follow if party else lead)(replays, links)
    finally:
        links.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
