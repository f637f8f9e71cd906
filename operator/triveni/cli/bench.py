"""`triveni bench`: how fast a running model answers. Bounded, since every row is charged to its request quota."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.cli.errors import CommandFailed, bad_input
from triveni.cli.exit_codes import QUOTA_REACHED
from triveni.cli.inputs import load, rows_of
from triveni.cli.output import bar, json_line, progress, screen
from triveni.cli.summary import PERCENTILES, percentile
from triveni.cli.targets import TargetOptions, connected
from triveni.client import AsyncClient, QuotaReached
from triveni.client.together import together

MOST = 1_000_000

SEED = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: `requests` calls of `rows` rows each, `concurrency` of them at a time."""

    name: str | None = None
    target: TargetOptions = field(default_factory=TargetOptions)
    requests: int | None = None
    rows: int = 1
    concurrency: int = 1
    data: Path | None = None
    timeout: float = 60.0
    as_json: bool = False


@dataclass
class Measured:
    """Seconds of each call, in the order of their ends, and of all together."""

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0


def bench(options: Options) -> None:
    """Ask, and say how long it took.

    Raises:
        CommandFailed, ClientError: it cannot be asked; what was measured before is shown all the same.
    """
    place = options.target.place(options.name, "bench NAME --requests N")
    requests = _requests(options)
    contents = load([options.data]) if options.data is not None else []
    measured = Measured()
    model: dict[str, Any] = {}

    async def run() -> None:
        async with connected(place) as connection, AsyncClient(connection, deadline=options.timeout) as client:
            with progress("looking for the workers"):
                description = await client.describe()
            shape = description.input_shape
            given = [row.values for row in rows_of(contents, shape)] if contents else None
            model.update(name=connection.name, protocol=description.protocol, epoch=description.epoch)
            total = requests * options.rows
            sys.stderr.write(
                f"{requests} requests of {_rows(options.rows)}: {total} are charged to its request quota\n"
            )
            await _ask(client, _batches(given, shape, requests, options.rows), options, requests, measured)

    try:
        asyncio.run(run())
    except QuotaReached as error:
        if measured.seconds:
            _report(model, options, measured)
        raise CommandFailed(
            f"{error} ({len(measured.seconds)} of {requests} requests answered)", QUOTA_REACHED
        ) from None
    _report(model, options, measured)


def _requests(options: Options) -> int:
    """How many; asked for on a terminal."""
    requests = options.requests
    if requests is None:
        if not sys.stdin.isatty():
            raise bad_input("--requests: how many? Each row is charged to the model's request quota, so say it")
        sys.stderr.write("How many requests? Each row is charged to the model's request quota: ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if not answer.isdecimal() or not 1 <= int(answer) <= MOST:
            raise bad_input(f"{answer or 'nothing'} is no number of requests; give a whole number from 1 to {MOST}")
        requests = int(answer)
    return requests


def _batches(
    given: list[NDArray[np.float32]] | None, shape: tuple[int, ...], requests: int, rows: int
) -> Iterator[NDArray[np.float32]]:
    """What is asked, request by request: the rows of the file in turn, or random ones in [0, 1)."""
    if given is None:
        random = np.random.default_rng(SEED)
        for _ in range(requests):
            yield random.random((rows, *shape), np.float32)
        return
    turn = itertools.cycle(given)
    for _ in range(requests):
        yield np.stack(list(itertools.islice(turn, rows)))


async def _ask(
    client: AsyncClient,
    batches: Iterator[NDArray[np.float32]],
    options: Options,
    requests: int,
    measured: Measured,
) -> None:
    with bar("asking", requests) as advance:

        async def worker() -> None:
            for batch in batches:
                began = time.perf_counter()
                await client.predict(batch)
                measured.seconds.append(time.perf_counter() - began)
                advance()

        began = time.perf_counter()
        try:
            await together(worker() for _ in range(min(options.concurrency, requests)))
        finally:
            measured.wall = time.perf_counter() - began


def _report(model: dict[str, Any], options: Options, measured: Measured) -> None:
    document = result(model, options.rows, options.concurrency, measured)
    if options.as_json:
        json_line(document)
        return
    console = screen()
    told = f"{document['requests']} requests of {_rows(options.rows)}, {options.concurrency} at a time"
    console.print(f"{model['name']}, {model['protocol']}, epoch {model['epoch']}: {told}")
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in document["latency_ms"].items())
    console.print(f"  latency      {latency}")
    console.print(f"  throughput   {document['rows_per_s']:.1f} rows a second, for {document['seconds']:.2f} s")
    console.print("  from the call to the answer, on this machine, with whatever else it does")


def _rows(number: int) -> str:
    return f"{number} row{'s' if number > 1 else ''}"


def result(model: dict[str, Any], rows: int, concurrency: int, measured: Measured) -> dict[str, Any]:
    """As JSON."""
    seconds = measured.seconds
    latency = {"min": min(seconds), "mean": sum(seconds) / len(seconds)}
    latency |= {f"p{percent}": percentile(seconds, percent) for percent in PERCENTILES} | {"max": max(seconds)}
    return {
        **model,
        "requests": len(seconds),
        "rows": rows,
        "concurrency": concurrency,
        "latency_ms": {name: round(value * 1000, 3) for name, value in latency.items()},
        "rows_per_s": round(len(seconds) * rows / measured.wall, 3),
        "seconds": round(measured.wall, 6),
    }
