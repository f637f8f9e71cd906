"""Many clients at once: ``python -m benchmarks.load CONNECTION CLIENTS REQUESTS FIRST``.

Each client is an `AsyncClient` with connections of its own that asks for one digit after the other, and checks that
it got the answer of its own digit. It prints a line when all are connected, begins when a line comes in, and prints
the milliseconds of each request as a JSON list when all are answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.example import Example
from triveni.client import AsyncClient, Connection

START_S, ANSWER_S = 60.0, 300.0


@dataclass(frozen=True)
class Load:
    """What a number of clients saw: seconds from the first request to the last answer, milliseconds of each."""

    seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


async def load(connection: Path, clients: int, requests: int, processes: int) -> Load:
    """Let `clients` clients, spread over `processes` processes, ask for `requests` single rows in all."""
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(_process(connection, clients // processes, requests // processes, number))
            for number in range(processes)
        ]
        await asyncio.gather(*(_line(process, START_S) for process in running))
        before = time.perf_counter()
        for process in running:
            assert process.stdin
            process.stdin.write(b"\n")
        answers = await asyncio.gather(*(_line(process, ANSWER_S) for process in running))
        seconds = time.perf_counter() - before
    return Load(seconds, [ms for answer in answers for ms in json.loads(answer)])


@asynccontextmanager
async def _process(
    connection: Path, clients: int, requests: int, number: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    arguments = [str(connection), str(clients), str(requests), str(number * requests)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process, seconds: float) -> bytes:
    assert process.stdout
    async with asyncio.timeout(seconds):
        return await process.stdout.readline()


async def ask(connection: Connection, clients: int, requests: int, first: int) -> list[float]:
    """The clients of one process; milliseconds of each request."""
    example = Example.read()
    async with AsyncExitStack() as stack:
        all_clients = [await stack.enter_async_context(AsyncClient(connection)) for _ in range(clients)]
        await asyncio.gather(*(client.predict(example.images[0]) for client in all_clients))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if not await asyncio.to_thread(sys.stdin.readline):
            return []  # whoever started this has gone
        times: list[float] = []
        numbers = iter(range(first, first + requests))

        async def one(client: AsyncClient) -> None:
            for number in numbers:
                rows = example.rows(number, 1)
                before = time.perf_counter()
                answers = await client.predict(example.images[rows])
                times.append((time.perf_counter() - before) * 1e3)
                example.require(rows, answers)

        await asyncio.gather(*map(one, all_clients))
    return times


def main() -> None:
    """The clients of one process."""
    connection, clients, requests, first = sys.argv[1:]
    times = asyncio.run(ask(Connection.read(connection), int(clients), int(requests), int(first)))
    sys.stdout.write(json.dumps(times) + "\n")


if __name__ == "__main__":
    main()
