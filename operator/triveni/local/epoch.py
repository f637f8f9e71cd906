"""One epoch on this machine: three workers and a sharing process, from their certificates to their final reports.

It decides nothing about the quota and nothing about what comes next; it says how the epoch ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triveni.api.securemodel import SecureModel
from triveni.controller.quota import PARTIES, Grant
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.local.ending import Cause, Ended, why
from triveni.local.events import Fetching, LogLine, Served, Serving, StepBegan, StepEnded, Tell
from triveni.local.logs import follow
from triveni.local.model_place import ModelPlace
from triveni.local.ports import HOST, Ports
from triveni.local.processes import Process, Processes, wait_all
from triveni.local.reports import WorkerReport, read_report, read_sharing_failure

if TYPE_CHECKING:
    from triveni.local.watch import Watch

SHARE_SECONDS = 300
"""For the first compilation of a large model on a slow machine; the sharing process gives up by itself before."""

END_SECONDS = 8.0
"""How long workers may take to end when one of them has: to notice, drain, erase and report."""

FETCH_SECONDS = 600
"""More for a model that has to be fetched."""

START, COMPILE, SHARE = "start three workers", "compile and prove the program", "share the model"

FETCH = "fetch the model"


@dataclass(frozen=True, slots=True)
class Commands:
    """How the processes are started, without their arguments."""

    worker: Sequence[str] = (sys.executable, "-m", "triveni.worker")
    sharing: Sequence[str] = (sys.executable, "-m", "triveni.sharing")


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """How an epoch ended.

    `served` requests of it are known to be answered; `shared` is False if no share of the model was handed over, and
    `reached_serving` is False if clients could never ask.
    """

    cause: Cause
    detail: str
    reports: tuple[WorkerReport | None, ...]
    served: int
    shared: bool
    reached_serving: bool
    last_status: tuple[Mapping[str, Any] | None, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What stays the same over all epochs of a run. The certificate of `runner` is a client's."""

    secure_model: SecureModel
    uid: str
    model: ModelPlace
    authority: Authority
    runner: Credentials
    ports: Ports
    connection: Path
    cache: Path | None
    commands: Commands


class Epoch:
    """One epoch, run once with `run`."""

    def __init__(
        self, setting: Setting, grant: Grant, directory: Path, processes: Processes, tell: Tell, verbose: bool
    ) -> None:
        self._setting, self._grant, self._directory = setting, grant, directory
        self._processes, self._tell, self._verbose = processes, tell, verbose
        self._served = 0
        self._shared = False
        self._fetched = not setting.model.fetched
        self._watch: Watch | None = None
        self._began = time.monotonic()
        self._step: tuple[str, float] | None = None  # None once they serve

    async def run(self, stop: asyncio.Event, served_before: int, started: Callable[[], Awaitable[None]]) -> EpochEnd:
        """Start everything, serve until the epoch ends or `stop` is set, gather the reports.

        Requests that are answered are told with numbers that follow `served_before`. `started` is awaited as soon as
        the processes have been started, long before they serve.
        """
        self._begin(START)
        workers = [await self._start_worker(party) for party in range(PARTIES)]
        sharing = await self._start_sharing()
        await started()
        from triveni.local.watch import Watch  # aiohttp takes its time to load: while the workers start

        async with AsyncExitStack() as logs:
            if self._verbose:
                for process in (*workers, sharing):
                    await logs.enter_async_context(follow(process.log, self._line(process.name)))
            fronts = [f"{HOST}:{port}" for port in self._setting.ports.front]
            async with Watch(self._grant.epoch, fronts, self._setting.runner) as watch:
                self._watch = watch
                await self._serve(workers, sharing, watch, stop, served_before)
            first = [not process.running for process in workers]
            await self._end(workers, sharing, stop.is_set(), watch)
        cause, detail, reports = self._ended(workers, sharing, first, stop.is_set())
        released = [report.counts.answered for report in reports if report]
        self._tell_served(served_before, max(watch.answered_by_all(), min(released, default=0)))
        return EpochEnd(cause, detail, reports, self._served, self._shared, self._step is None, tuple(watch.status))

    async def _serve(
        self, workers: Sequence[Process], sharing: Process, watch: Watch, stop: asyncio.Event, before: int
    ) -> None:
        """Tell what happens until a worker ends, sharing fails, the quota is reached or `stop` is set."""
        over = [process.ended for process in workers]
        stopping = asyncio.create_task(stop.wait())
        rows = self._grant.rows
        while not (
            stop.is_set()
            or any(task.done() for task in over)
            or sharing.code
            or (rows is not None and watch.answered_by_all() >= rows)
        ):
            self._progress(watch)
            self._tell_served(before, watch.answered_by_all())
            watch.news.clear()
            news = asyncio.create_task(watch.news.wait())
            waiting: list[asyncio.Task[Any]] = [news, stopping, *over]
            waiting += [sharing.ended] if sharing.running else []
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
        stopping.cancel()
        self._tell_served(before, watch.answered_by_all())

    async def _start_worker(self, party: int) -> Process:
        setting, epoch = self._setting, self._grant.epoch
        metadata = setting.secure_model.metadata
        identity = Identity.worker(metadata.namespace, setting.uid, epoch, party)
        credentials = self._directory / f"worker-{party}-credentials"
        setting.authority.issue(identity).write(credentials)
        config = {
            "namespace": metadata.namespace,
            "uid": setting.uid,
            "name": metadata.name,
            "epoch": epoch,
            "party": party,
            "protocol": setting.secure_model.spec.protocol,
            "grant": self._grant.rows,
            "listen": {"host": HOST, "port": setting.ports.front[party]},
            "peer_listen": {"host": HOST, "port": setting.ports.peer[party]},
            "peers": {
                str(peer): {"host": HOST, "port": setting.ports.peer[peer]} for peer in range(PARTIES) if peer != party
            },
            "credentials": str(credentials),
            "report": str(self._report(party)),
            "cache": str(setting.cache) if setting.cache else None,
            "max_rows": setting.secure_model.spec.batching.max_rows,
        }
        if (bits := setting.secure_model.spec.answer.fractional_bits) is not None:
            config["answer_fractional_bits"] = bits
        path = self._directory / f"worker-{party}.json"
        path.write_text(json.dumps(config))
        command = [*setting.commands.worker, "--config", str(path)]
        return await self._processes.start(f"worker {party}", command, self._directory / f"worker-{party}.log")

    async def _start_sharing(self) -> Process:
        setting = self._setting
        identity = Identity.sharing_job(setting.secure_model.metadata.namespace, setting.uid, self._grant.epoch)
        credentials = self._directory / "sharing-credentials"
        setting.authority.issue(identity).write(credentials)
        spec = setting.secure_model.spec
        command = [*setting.commands.sharing, *setting.model.arguments, "--protocol", spec.protocol]
        if spec.answer.fractional_bits is not None:
            command += ["--answer-fractional-bits", str(spec.answer.fractional_bits)]
        if spec.model.digest:
            command += ["--digest", spec.model.digest]
        if inputs := spec.model.input_range:
            command += [f"--input-range={inputs.argument}"]
        for port in setting.ports.front:
            command += ["--worker", f"{HOST}:{port}"]
        command += ["--credentials", str(credentials), "--report", str(self._directory / "sharing.report.json")]
        seconds = SHARE_SECONDS + (FETCH_SECONDS if setting.model.fetched else 0)
        command += ["--timeout", str(seconds)]
        return await self._processes.start("sharing", command, self._directory / "sharing.log", line=self._sharing_said)

    def _sharing_said(self, line: str) -> None:
        """Once the workers have taken the architecture, shares are handed over; not before."""
        if self._verbose:
            self._tell(LogLine("sharing", line))
        match json.loads(line):
            case {"step": "architecture"}:
                self._shared = True
            case {"step": "fetched"}:
                self._fetched = True
                if self._watch:
                    self._watch.news.set()
            case {"fetching": {"bytes": done, "total": total}}:
                self._tell(Fetching(self._grant.epoch, done, total))
            case {"trying again": {"bytes": done, "problem": problem}}:
                self._tell(Fetching(self._grant.epoch, done, None, problem))

    def _report(self, party: int) -> Path:
        return self._directory / f"worker-{party}.report.json"

    def _line(self, name: str) -> Callable[[str], None]:
        return lambda line: self._tell(LogLine(name, line))

    def _progress(self, watch: Watch) -> None:
        """Tell which step the workers are at: that of the one that is furthest behind."""
        if self._step is None:
            return
        steps = {STEPS.get(state) for state in watch.states()}
        step = next((step for step in (START, COMPILE, SHARE) if step in steps), None)
        if step == COMPILE and not self._fetched:
            step = FETCH
        if step == self._step[0]:
            return
        if step:
            self._end_step()
            self._begin(step)
        else:
            self._serves()

    def _serves(self) -> None:
        self._end_step()
        self._tell(Serving(self._grant.epoch, self._setting.connection, time.monotonic() - self._began))

    def _begin(self, step: str) -> None:
        self._step = (step, time.monotonic())
        self._tell(StepBegan(self._grant.epoch, step))

    def _end_step(self) -> None:
        if self._step:
            step, since = self._step
            self._tell(StepEnded(self._grant.epoch, step, time.monotonic() - since))
            self._step = None

    def _tell_served(self, before: int, served: int) -> None:
        if self._served < served and self._step:
            self._serves()  # it served, and ended, faster than its workers were asked for their state
        while self._served < served:
            self._served += 1
            self._tell(Served(before + self._served))

    async def _end(self, workers: Sequence[Process], sharing: Process, stopped: bool, watch: Watch) -> None:
        """Let the workers end by themselves where they will, then end what is left."""
        serving, rows = self._step is None, self._grant.rows
        at_quota = rows is not None and any(watch.answered(party) >= rows for party in range(PARTIES))
        if at_quota or (serving and not stopped):
            await wait_all(workers, END_SECONDS)
        await self._processes.stop((*workers, sharing))

    def _ended(
        self, workers: Sequence[Process], sharing: Process, first: Sequence[bool], stopped: bool
    ) -> tuple[Cause, str, tuple[WorkerReport | None, ...]]:
        ended = [
            Ended(party, process.code, read_report(self._report(party)), first[party], process.last_words())
            for party, process in enumerate(workers)
        ]
        failure = read_sharing_failure(self._directory / "sharing.report.json")
        cause, detail = why(
            ended, stopped=stopped, sharing_code=sharing.code, failure=failure, words=sharing.last_words()
        )
        return cause, detail, tuple(worker.report for worker in ended)


STEPS: Mapping[str, str] = {
    "": START,
    "Starting": START,
    "WaitingForArchitecture": COMPILE,
    "Compiling": COMPILE,
    "WaitingForShares": SHARE,
}
"""What is going on in each state of a worker before it serves."""
