"""What the three workers say of themselves while they live: state, counts, latency; and how far away they are.

For people who look. No decision depends on it, and a worker that cannot be asked is no error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp

from triveni.client.connection import Connection
from triveni.client.deadline import Deadline
from triveni.client.epoch import connection_problem
from triveni.client.errors import WorkersUnreachable
from triveni.client.together import together
from triveni.client.transport import WorkerLink, close, worker_link

ASK_S = 5.0
"""How long a worker may take to answer."""

MOST_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker's own word. `problem` says why it cannot be asked; then nothing else is known."""

    party: int
    problem: str = ""
    state: str = ""
    epoch: int = 0
    granted: int | None = None
    admitted: int = 0
    answered: int = 0
    waiting: int = 0
    runs: int = 0
    rounds: int = 0
    bytes_sent: int = 0
    latency_ms: Mapping[str, float] = field(default_factory=dict)


class Live:
    """Kept links to the workers of a connection, in whatever epoch. Use it as an asynchronous context manager."""

    def __init__(self, connection: Connection) -> None:
        self._links = [worker_link(connection, party, None) for party in range(3)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await close(self._links)

    async def status(self) -> tuple[WorkerStatus, ...]:
        """All three, in the order of parties."""
        return tuple(await together(_status(link) for link in self._links))

    async def round_trip(self, times: int = 10) -> tuple[float, ...]:
        """The shortest of some round trips to each worker, in seconds, on an open connection.

        Raises:
            WorkersUnreachable: one of them does not answer.
        """
        return tuple(await together(_round_trip(link, times) for link in self._links))


async def _status(link: WorkerLink) -> WorkerStatus:
    deadline = Deadline(ASK_S)
    try:
        async with deadline.or_raise(TimeoutError()):
            reply = await link.get("/triveni/v1/status", MOST_BYTES)
        document = json.loads(reply.body)
    except aiohttp.ClientError as error:
        return WorkerStatus(link.party, connection_problem(error))
    except (TimeoutError, OSError):
        return WorkerStatus(link.party, f"no answer within {ASK_S:g} s")
    except (ValueError, RecursionError):
        return WorkerStatus(link.party, "its answer is no JSON")
    if reply.status != 200 or not isinstance(document, dict):
        return WorkerStatus(link.party, f"it answered {reply.status}")
    return _read(link.party, document)


def _read(party: int, document: Mapping[str, Any]) -> WorkerStatus:
    names = ("epoch", "admitted", "answered", "runs", "rounds", "bytes_sent")
    counts = {name: document[name] for name in names if type(document.get(name)) is int}
    granted, waiting, latency = (document.get(key) for key in ("granted", "requests_waiting", "latency_ms"))
    return WorkerStatus(
        party,
        state=str(document.get("state", "")),
        granted=granted if type(granted) is int else None,
        waiting=waiting if type(waiting) is int else 0,
        latency_ms={k: v for k, v in latency.items() if type(v) in (int, float)} if isinstance(latency, dict) else {},
        **counts,
    )


async def _round_trip(link: WorkerLink, times: int) -> float:
    unreachable = WorkersUnreachable({link.party: f"no answer within {ASK_S:g} s"}, ASK_S)
    shortest = float("inf")
    for attempt in range(times + 1):
        began = time.perf_counter()
        try:
            async with Deadline(ASK_S).or_raise(unreachable):
                await link.get("/v2/health/live", MOST_BYTES)
        except aiohttp.ClientError as error:
            raise WorkersUnreachable({link.party: connection_problem(error)}, ASK_S) from error
        if attempt:  # the first opens the connection
            shortest = min(shortest, time.perf_counter() - began)
    return shortest
