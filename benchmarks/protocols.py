"""``python -m benchmarks.protocols``: the two protocols beside each other, over links that are near and far.

One row after the other, of the example, by one client, at several round trips between the workers. It prints a table
and writes build/protocols.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.cluster import serving
from benchmarks.example import ROOT, Example
from triveni.client import AsyncClient
from triveni.local.epoch import Commands
from triveni.mpc.compile import compile_program
from triveni.mpc.schedule import Schedule
from triveni.mpc.sharing import HELD

ROUND_TRIPS_MS = (0.0, 10.0, 40.0)

WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one row, in milliseconds: the client's median and 90 of 100, and worker 0's median from share to share."""

    protocol: str
    round_trip_ms: float
    rounds: int
    megabytes: float
    client_ms: float
    client_p90_ms: float
    engine_ms: float
    logit_difference: float


async def measure(protocol: str, round_trip_ms: float, requests: int, directory: Path, cache: Path) -> Latency:
    """One protocol at one distance."""
    example = Example.read()
    cost = Schedule(compile_program(example.architecture, protocol, cache=cache)).cost()
    commands = Commands()
    if round_trip_ms:
        commands = Commands(worker=(sys.executable, "-m", "benchmarks.delayed_worker", f"{round_trip_ms:g}"))
    times, difference = [], 0.0
    async with (
        serving(directory, cache, protocol, commands) as cluster,
        AsyncClient(cluster.connection, deadline=60.0) as client,
    ):
        for number in range(WARM_UP + requests):
            rows = example.rows(number, 1)
            since = time.perf_counter()
            answers = await client.predict(example.images[rows])
            times.append((time.perf_counter() - since) * 1000)
            difference = max(difference, example.require(rows, answers))
        engine = (await cluster.status(0))["latency_ms"]["p50"]
    measured = sorted(times[WARM_UP:])
    return Latency(
        protocol,
        round_trip_ms,
        cost.online_rounds,
        round((cost.online_bytes + cost.ahead_bytes).at(1) / 1e6, 3),
        round(statistics.median(measured), 2),
        round(measured[len(measured) * 9 // 10], 2),
        engine,
        difference,
    )


async def measure_all(round_trips: Sequence[float], requests: int, console: Console) -> list[Latency]:
    """Every protocol at every distance."""
    found = []
    with tempfile.TemporaryDirectory(prefix="triveni-protocols-") as name:
        for round_trip_ms in round_trips:
            for protocol in HELD:
                console.print(f"{protocol}, {round_trip_ms:g} ms ...")
                found.append(await measure(protocol, round_trip_ms, requests, Path(name), Path(name) / "cache"))
    return found


def table(found: Sequence[Latency]) -> Table:
    """What is shown."""
    result = Table("round trip", "protocol", "rounds", "MB", "client, median", "client, p90", "engine, median")
    for one in found:
        milliseconds = (f"{value:.1f} ms" for value in (one.client_ms, one.client_p90_ms, one.engine_ms))
        result.add_row(
            f"{one.round_trip_ms:g} ms", one.protocol, str(one.rounds), f"{one.megabytes:.3f}", *milliseconds
        )
    return result


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser("benchmarks.protocols", description=__doc__.split("\n\n")[1])
    parser.add_argument("--requests", type=int, default=30, help="measured at each distance (%(default)s)")
    parser.add_argument("--round-trips", type=float, nargs="+", default=ROUND_TRIPS_MS, help="in ms (%(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "protocols.json", help="%(default)s")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    before = machine.load()
    found = asyncio.run(measure_all(arguments.round_trips, arguments.requests, console))
    about = machine.describe(before)
    console.print(table(found))
    console.print(machine.line(about))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": about, "latencies": [asdict(one) for one in found]}
    arguments.output.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
