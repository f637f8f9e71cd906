"""Starts the three processes of the floor and asks them for replays."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.floor import NAMESPACE, UID, rounds, write_plan
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.local import ports
from triveni.mpc.program import PARTIES, Program
from triveni.mpc.schedule import Schedule

ANSWER_S, END_S = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of `rows` rows; with `ahead` also what is exchanged before the request is there."""

    rows: int
    ahead: bool


@dataclass(frozen=True)
class Floor:
    """Three processes that replay the messages of some plans."""

    plans: Sequence[Plan]
    leader: asyncio.subprocess.Process

    async def replay(self, plan: Plan, repeats: int) -> list[float]:
        """Milliseconds of each of `repeats` replays."""
        assert self.leader.stdin
        assert self.leader.stdout
        self.leader.stdin.write(json.dumps([self.plans.index(plan), repeats]).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            line = await self.leader.stdout.readline()
        times: list[float] = json.loads(line)
        return times


@asynccontextmanager
async def floor(directory: Path, program: Program, plans: Sequence[Plan]) -> AsyncIterator[Floor]:
    """Have the messages of `plans` replayed for as long as the context lasts. `directory` is empty and private."""
    authority = Authority.create(NAMESPACE, UID)
    for party in PARTIES:
        authority.issue(Identity.worker(NAMESPACE, UID, 1, party)).write(directory / f"party-{party}")
    schedule = Schedule(program)
    parties = [schedule.party(party) for party in PARTIES]
    frames = [[rounds(party, plan.rows, ahead=plan.ahead) for party in parties] for plan in plans]
    write_plan(directory, ports.choose(None).peer, frames)
    processes: list[asyncio.subprocess.Process] = []
    try:
        for party in PARTIES:
            command = [sys.executable, "-m", "benchmarks.floor", str(directory), str(party)]
            pipe = asyncio.subprocess.PIPE if party == 0 else asyncio.subprocess.DEVNULL
            processes.append(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
        yield Floor(plans, processes[0])
    finally:
        await _end(processes)


async def _end(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Close the leader's input, and kill what does not end by that."""
    for process in processes:
        if process.stdin:
            process.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await asyncio.gather(*(process.wait() for process in processes))
    except TimeoutError:
        for process in processes:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*(process.wait() for process in processes))
