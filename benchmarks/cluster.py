"""A model served on this machine by the local runner, as `triveni run` does, while something is measured."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import process
from benchmarks.example import MANIFEST
from triveni.api.manifest import Manifest, read_manifest
from triveni.client import Connection
from triveni.identity.tls import client_context
from triveni.local import watch
from triveni.local.epoch import Commands
from triveni.local.events import EpochBegan, EpochEnded, Event, LogLine, Serving
from triveni.local.runner import LocalRun, Plan
from triveni.mpc.program import PARTIES
from triveni.worker.state import State

NEVER_S = 3600.0


@dataclass(eq=False)
class EpochLost(Exception):
    """The epoch ended while something was measured, so the figures are not those of one that serves."""

    why: str

    def __str__(self) -> str:
        return f"the epoch ended during the measurement: {self.why}"


class Course:
    """The course of a run: how long its start took, by the times in the workers' logs, and whether an epoch ended."""

    def __init__(self) -> None:
        self.lost: EpochLost | None = None
        self._began = 0.0
        self._states: dict[tuple[str, str], float] = {}
        self._told = False
        self.serving = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Something happened in the run."""
        match event:
            case EpochBegan():
                self._began = time.time()
            case Serving():
                self._told = True
            case EpochEnded(why=why):
                self.lost = EpochLost(why)
            case LogLine(name=name, line=line) if '"event": "state"' in line:
                entry = json.loads(line)
                self._states[name, entry["state"]] = datetime.fromisoformat(entry["time"]).timestamp()
        if self._told and len(self._times(State.SERVING)) == len(PARTIES):
            self.serving.set()

    @property
    def start_seconds(self) -> float:
        """From the start of the processes until all three workers wait for their shares."""
        return max(self._times(State.WAITING_FOR_SHARES)) - self._began

    @property
    def share_seconds(self) -> float:
        """From there until they serve."""
        return max(self._times(State.SERVING)) - max(self._times(State.WAITING_FOR_SHARES))

    def _times(self, state: State) -> list[float]:
        return [at for (_, entered), at in self._states.items() if entered == state]


@dataclass(frozen=True)
class Cluster:
    """Three workers that serve; `workers` are their process ids."""

    connection: Connection
    workers: Sequence[int]
    course: Course
    session: aiohttp.ClientSession

    async def status(self, party: int) -> Mapping[str, Any]:
        """What a worker says of itself."""
        async with self.session.get(f"{self.connection.workers[party]}/triveni/v1/status") as response:
            response.raise_for_status()
            document: Mapping[str, Any] = await response.json()
            return document

    async def statuses(self) -> Sequence[Mapping[str, Any]]:
        """The same of all three."""
        return [await self.status(party) for party in range(3)]

    def peak_memory(self) -> float:
        """Of the largest worker, in megabytes."""
        return max(map(process.peak_memory, self.workers))

    def cpu_time(self) -> Sequence[process.CpuTime]:
        """Of each worker."""
        return [process.cpu_time(pid) for pid in self.workers]


@asynccontextmanager
async def serving(
    directory: Path,
    cache: Path,
    protocol: str = "ABY3",
    commands: Commands | None = None,
    manifest: Manifest | None = None,
) -> AsyncIterator[Cluster]:
    """Serve the example, or the model of another manifest, without a quota.

    `directory` is for the connection file, `cache` for compiled programs.
    """
    manifest = manifest or read_manifest(MANIFEST)
    secure_model = manifest.secure_model.with_spec(requestQuota=None, protocol=protocol)
    manifest = replace(manifest, secure_model=secure_model)
    path = directory / "connection.json"
    course = Course()
    plan = Plan(manifest, connection=path, cache=cache, verbose=True, commands=commands or Commands())
    run = LocalRun(plan, course.tell)
    task = asyncio.create_task(run.run())
    waiting = asyncio.create_task(course.serving.wait())
    interval = watch.SERVING_INTERVAL
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        # On a cluster nobody asks the workers for their state twenty times a second.
        watch.SERVING_INTERVAL = NEVER_S
        connection = Connection.read(path)
        context = client_context(connection.credentials)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            yield Cluster(connection, _worker_pids(), course, session)
        if course.lost:
            raise course.lost
    finally:
        watch.SERVING_INTERVAL = interval
        waiting.cancel()
        run.stop()
        await task


def _worker_pids() -> Sequence[int]:
    """The three workers among this process's children, in the order of parties (their configuration's name has it)."""
    found = {command[-2]: pid for pid, command in process.children() if "--config" in command}
    return [found[config] for config in sorted(found)]
