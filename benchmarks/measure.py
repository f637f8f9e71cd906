"""The measurements: each gives some of the figures."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster import Cluster, Course
from benchmarks.example import MANIFEST, PICTURE, ROOT, Example
from benchmarks.floor_processes import Floor, Plan
from benchmarks.load import load
from triveni.client import AsyncClient
from triveni.mpc.program import Program
from triveni.mpc.schedule import Schedule

Figures = dict[str, float]

SINGLE = Plan(1, ahead=False)
"""A single row's run: the work that needs no request was done while the worker was idle."""

BATCH_ROWS = 32
BATCH = Plan(BATCH_ROWS, ahead=True)

CLIENTS = 16
COMMAND_S = 120.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How often everything is measured. A block of requests and a block of replays alternate."""

    single_blocks: int = 12
    single_block: int = 10
    batch_blocks: int = 8
    batch_block: int = 5
    load_requests: int = 800
    load_processes: int = 1
    starts: int = 3


QUICK = Effort(2, 2, 1, 2, 32, 1, 1)


@dataclass(frozen=True)
class Measured:
    """Requests of one size and the floor beside them: medians in ms, processor time in ms a request and worker."""

    engine: float
    client: float
    client_p90: float
    floor: float
    engine_cpu: float
    worker_cpu: float
    bytes_sent: float
    memory: float
    difference: float


@dataclass(eq=False)
class CommandFailed(Exception):
    """A command that is measured did not do what it is for."""

    command: Sequence[str]
    said: str

    def __str__(self) -> str:
        return f"{' '.join(self.command)} failed:\n{self.said}"


async def requests(cluster: Cluster, floor: Floor, example: Example, plan: Plan, blocks: int, block: int) -> Measured:
    """`blocks` times: `block` requests of `plan.rows` rows, one after the other, and as many replays.

    The cluster is a new one: a worker tells the median latency of all that its engine has run.
    """
    latencies: list[float] = []
    floors: list[float] = []
    differences: list[float] = []
    async with AsyncClient(cluster.connection) as client:

        async def one(number: int) -> None:
            rows = example.rows(number * plan.rows, plan.rows)
            before = time.perf_counter()
            answers = await client.predict(example.images[rows])
            latencies.append((time.perf_counter() - before) * 1e3)
            differences.append(example.require(rows, answers))

        for number in range(block):
            await one(number)
        await floor.replay(plan, block)
        latencies.clear()
        cpu_before, sent_before = cluster.cpu_time(), await _bytes_sent(cluster)
        for number in range(blocks):
            for request in range(block):
                await one(number * block + request)
            floors += await floor.replay(plan, block)
        cpu_after, sent_after = cluster.cpu_time(), await _bytes_sent(cluster)
    cpu = [after - before for after, before in zip(cpu_after, cpu_before, strict=True)]
    status = await cluster.status(0)
    count = blocks * block
    return Measured(
        engine=float(status["latency_ms"]["p50"]),
        client=statistics.median(latencies),
        client_p90=percentile(latencies, 90),
        floor=statistics.median(floors),
        engine_cpu=sum(time.engine for time in cpu) / len(cpu) / count,
        worker_cpu=sum(time.process for time in cpu) / len(cpu) / count,
        bytes_sent=(sent_after - sent_before) / count,
        memory=cluster.peak_memory(),
        difference=max(differences),
    )


async def _bytes_sent(cluster: Cluster) -> int:
    return sum(int(status["bytes_sent"]) for status in await cluster.statuses())


def single_figures(measured: Measured, program: Program) -> Figures:
    """The figures of single rows."""
    cost = Schedule(program).cost()
    return {
        "engine_b1_ms": measured.engine,
        "engine_b1_floor_ms": measured.floor,
        "engine_b1_floor_ratio": measured.engine / measured.floor,
        "client_b1_ms": measured.client,
        "client_b1_p90_ms": measured.client_p90,
        "client_b1_floor_ratio": measured.client / measured.floor,
        "rounds_b1": cost.online_rounds,
        "rounds_b1_ahead": cost.ahead_rounds,
        "megabytes_b1": measured.bytes_sent / 1e6,
        "megabytes_b1_online": cost.online_bytes.at(1) / 1e6,
        "worker_rss_b1_mb": measured.memory,
        "engine_cpu_b1_ms": measured.engine_cpu,
        "worker_cpu_b1_ms": measured.worker_cpu,
    }


def batch_figures(measured: Measured) -> Figures:
    """The figures of batches."""
    return {
        "engine_b32_ms_per_image": measured.engine / BATCH_ROWS,
        "engine_b32_floor_ms_per_image": measured.floor / BATCH_ROWS,
        "engine_b32_floor_ratio": measured.engine / measured.floor,
        "client_b32_ms_per_image": measured.client / BATCH_ROWS,
        "worker_rss_b32_mb": measured.memory,
        "engine_cpu_b32_ms_per_image": measured.engine_cpu / BATCH_ROWS,
        "worker_cpu_b32_ms_per_image": measured.worker_cpu / BATCH_ROWS,
        "logit_difference_max": measured.difference,
    }


def start_figures(courses: Sequence[Course]) -> Figures:
    """The figures of starts, medians of several."""
    return {
        "worker_start_s": statistics.median(course.start_seconds for course in courses),
        "share_s": statistics.median(course.share_seconds for course in courses),
    }


async def load_figures(connection: Path, effort: Effort) -> Figures:
    """The figures of many clients at once."""
    seen = await load(connection, CLIENTS, effort.load_requests, effort.load_processes)
    return {
        "images_per_second_16_clients": seen.rate,
        "client_16_p50_ms": statistics.median(seen.latencies),
        "client_16_p90_ms": percentile(seen.latencies, 90),
    }


async def compile_figures(cache: Path) -> Figures:
    """The figures of the compiler; `cache` is empty, and holds the program afterwards."""
    command = [sys.executable, "-m", "benchmarks.compilation", str(cache)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise CommandFailed(command, out.decode(errors="replace"))
    figures: Figures = json.loads(out)
    return figures


async def first_prediction_figures(cache_home: Path, starts: int) -> Figures:
    """Seconds from the start of the command line to the first prediction that it tells."""
    times = [await _first_prediction(cache_home) for _ in range(starts)]
    return {"start_to_first_prediction_warm_s": statistics.median(times)}


async def _first_prediction(cache_home: Path) -> float:
    command = [sys.executable, "-m", "triveni.cli", "run", str(MANIFEST), "--quota", "1", "--predict", str(PICTURE)]
    before = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "XDG_CACHE_HOME": str(cache_home)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    said, seconds = [], 0.0
    try:
        async with asyncio.timeout(COMMAND_S):
            async for line in process.stdout:
                said.append(line.decode(errors="replace"))
                if not seconds and "Served encrypted prediction 1 " in said[-1]:
                    seconds = time.perf_counter() - before
            await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode or not seconds:
        raise CommandFailed(command, "".join(said))
    return seconds


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 do not pass."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
