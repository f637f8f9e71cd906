"""The example served on this machine by the local runner, as `triveni run` would, for as long as something is measured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import process
from benchmarks.example import MANIFEST
from triveni.api.manifest import read_manifest
from triveni.client import Connection
from triveni.identity.tls import client_context
from triveni.local import watch
from triveni.local.epoch import COMPILE, SHARE, START
from triveni.local.events import Event, Serving, StepEnded
from triveni.local.runner import LocalRun, Plan

NEVER_S = 3600.0


@dataclass(frozen=True)
class Cluster:
    """Three workers that serve; `steps` are the seconds that each step of their start took."""

    connection: Connection
    workers: Sequence[int]
    steps: Mapping[str, float]
    session: aiohttp.ClientSession

    @property
    def start_seconds(self) -> float:
        """From the start of the processes until all three workers wait for their shares."""
        return self.steps[START] + self.steps[COMPILE]

    @property
    def share_seconds(self) -> float:
        """From there until they serve."""
        return self.steps[SHARE]

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
async def serving(directory: Path, cache: Path) -> AsyncIterator[Cluster]:
    """Serve without a quota. `directory` is for the connection file, `cache` for compiled programs."""
    manifest = read_manifest(MANIFEST)
    manifest = replace(manifest, secure_model=manifest.secure_model.with_spec(requestQuota=None))
    path = directory / "connection.json"
    steps: dict[str, float] = {}
    ready = asyncio.Event()

    def tell(event: Event) -> None:
        match event:
            case StepEnded(step=step, seconds=seconds):
                steps[step] = steps.get(step, 0.0) + seconds
            case Serving():
                ready.set()

    run = LocalRun(Plan(manifest, connection=path, cache=cache), tell)
    task = asyncio.create_task(run.run())
    waiting = asyncio.create_task(ready.wait())
    interval = watch.INTERVAL
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        # On a cluster nobody asks the workers for their state twenty times a second.
        watch.INTERVAL = NEVER_S
        connection = Connection.read(path)
        context = client_context(connection.credentials)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            yield Cluster(connection, _worker_pids(), steps, session)
    finally:
        watch.INTERVAL = interval
        waiting.cancel()
        run.stop()
        await task


def _worker_pids() -> Sequence[int]:
    """The three workers among this process's children, in the order of parties (their configuration's name has it)."""
    found = {command[-2]: pid for pid, command in process.children() if "triveni.worker" in command}
    return [found[config] for config in sorted(found)]
