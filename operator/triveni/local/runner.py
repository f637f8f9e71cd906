"""The runner: epoch after epoch until the request quota is reached, with nothing left behind.

It does on one machine what the operator does on a cluster: one authority for the SecureModel, new certificates and
processes for each epoch, the quota charged from the workers' reports by the same rules.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from triveni.api.manifest import DigestMismatch, Manifest
from triveni.controller.quota import Ledger
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.local import ports as ports_
from triveni.local.directory import DIRECTORY, RunDirectory, private_file, run_directory
from triveni.local.ending import Cause
from triveni.local.epoch import Commands, Epoch, EpochEnd, Setting
from triveni.local.events import CompanionEnded, EpochBegan, EpochEnded, Retrying, Said, Summary, Tell
from triveni.local.model_place import ModelPlace, Unusable, place_model
from triveni.local.ports import HOST
from triveni.local.processes import Guard, Process, Processes

MAX_BARREN_EPOCHS = 10
"""Epochs in a row without a single answer, after which the runner gives up."""

MAX_UNSERVED_EPOCHS = 4
"""The same for epochs that did not even come to serve."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.25, 8.0
"""Seconds from one barren epoch to the next; doubled each time."""


class RunFailed(Exception):
    """A run that cannot reach its quota."""


@dataclass(eq=False)
class ModelRefused(RunFailed):
    """The model cannot be served, and trying again would change nothing."""

    problem: str

    def __str__(self) -> str:
        return f"the model cannot be served: {self.problem}"


@dataclass(eq=False)
class NotRecovered(RunFailed):
    """A worker was lost, and the SecureModel says not to share again."""

    why: str
    ledger: Ledger

    def __str__(self) -> str:
        return f"{self.why}; recovery is Never, so this is the end. Write recovery: Reshare to go on in a new epoch"


@dataclass(eq=False)
class NoProgress(RunFailed):
    """Several epochs in a row ended without an answer (`what`: or without serving at all), the last of them `why`."""

    epochs: int
    what: str
    why: str

    def __str__(self) -> str:
        return f"gave up after {self.epochs} epochs without {self.what}; --verbose shows more. The last: {self.why}"


@dataclass(frozen=True, slots=True)
class Companion:
    """A process that runs beside the workers, such as a client that asks for predictions.

    `command` gets the paths of the connection file and of the model file. If `ends_run`, the run ends when it does.
    After the last epoch it may go on for `seconds`. One that `loads_model` is told ended at once where plain Keras has
    no file that it may load.
    """

    name: str
    command: Callable[[Path, Path], Sequence[str]]
    ends_run: bool = False
    seconds: float = 10.0
    loads_model: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    `connection` None puts the connection file into the run directory, `port` None chooses free ports.
    """

    manifest: Manifest
    connection: Path | None = None
    port: int | None = None
    companions: Sequence[Companion] = ()
    verbose: bool = False
    cache: Path | None = None
    commands: Commands = field(default_factory=Commands)


class LocalRun:
    """One run; `run` once. `stop` and `kill` may be called in its event loop at any time."""

    def __init__(self, plan: Plan, tell: Tell) -> None:
        self._plan, self._tell = plan, tell
        self._stop = asyncio.Event()
        self._processes: Processes | None = None

    def stop(self) -> None:
        """End the epoch in order, charge it, and finish."""
        self._stop.set()

    def kill(self) -> None:
        """End all processes at once."""
        if self._processes:
            self._processes.kill()

    async def run(self) -> Summary:
        """Serve until the quota is reached or `stop`; cancelling ends everything as well.

        Raises:
            ports.PortInUse, directory.FileExists, OSError: it cannot begin.
            RunFailed: it cannot go on.
        """
        began = time.monotonic()
        plan = self._plan
        ports = ports_.choose(plan.port)
        secure_model = plan.manifest.secure_model
        uid, namespace = str(uuid.uuid4()), secure_model.metadata.namespace
        async with AsyncExitStack() as stack:
            guard = stack.enter_context(Guard())
            directory = stack.enter_context(run_directory(guard))
            processes = self._processes = await stack.enter_async_context(Processes(guard))
            authority = Authority.create(namespace, uid)
            client = authority.issue(Identity.of_client(namespace, uid, "client"))
            path = plan.connection or directory.connection
            content = _connection(secure_model.metadata.name, namespace, uid, ports.front, client, directory)
            connection = stack.enter_context(private_file(path, content, guard))
            runner = authority.issue(Identity.of_client(namespace, uid, "runner"))
            setting = Setting(
                secure_model,
                uid,
                _model_place(plan.manifest, directory),
                authority,
                runner,
                ports,
                connection,
                plan.cache,
                plan.commands,
            )
            companions = _Companions(processes, directory, self._tell, self.stop)
            summary = await self._epochs(setting, directory, processes, companions, began)
            await companions.finish()
            return summary

    async def _epochs(
        self,
        setting: Setting,
        directory: RunDirectory,
        processes: Processes,
        companions: _Companions,
        began: float,
    ) -> Summary:
        ledger, served, ended = Ledger(setting.secure_model.spec.request_quota), 0, list[EpochEnded]()
        barren = unserved = 0
        while True:
            ledger = ledger.start()
            assert ledger.open
            self._tell(EpochBegan(ledger.open.epoch, ledger.open.rows))
            folder = directory.epoch(ledger.open.epoch)
            epoch = Epoch(setting, ledger.open, folder, processes, self._tell, self._plan.verbose)
            end = await epoch.run(self._stop, served, lambda: companions.start(self._plan.companions, setting))
            ledger = ledger.end([report.counts if report else None for report in end.reports], shared=end.shared)
            served += end.served
            ended.append(EpochEnded(ledger.ended[-1], end.reports, _why(end)))
            self._tell(ended[-1])
            barren = 0 if ledger.ended[-1].rows else barren + 1
            unserved = 0 if end.reached_serving else unserved + 1
            recovery = setting.secure_model.spec.recovery
            pause = next_epoch(ledger, end, barren, unserved, recovery, stopped=self._stop.is_set())
            if pause is None:
                return Summary(ledger, served, tuple(ended), time.monotonic() - began, end.last_status)
            self._tell(Retrying(pause))
            await _sleep(self._stop, pause)
            if self._stop.is_set():
                return Summary(ledger, served, tuple(ended), time.monotonic() - began, end.last_status)


def next_epoch(
    ledger: Ledger, end: EpochEnd, barren: int, unserved: int, recovery: str, *, stopped: bool
) -> float | None:
    """Seconds until the next epoch begins, None if the run is finished.

    Args:
        ledger: with the ended epoch charged.
        end: how it ended.
        barren: epochs in a row, up to this one, that were charged nothing.
        unserved: epochs in a row, up to this one, that did not come to serve.
        recovery: `spec.recovery`.
        stopped: whether the run was asked to stop.

    Raises:
        RunFailed: there is something left to serve, but it cannot be.
    """
    if stopped:
        return None
    if end.cause is Cause.REFUSED:
        raise ModelRefused(end.detail)
    if ledger.reached:
        return None
    if recovery == "Never":
        raise NotRecovered(_why(end), ledger)
    if unserved >= MAX_UNSERVED_EPOCHS:
        raise NoProgress(unserved, "serving", _why(end))
    if barren >= MAX_BARREN_EPOCHS:
        raise NoProgress(barren, "an answer", _why(end))
    return 0.0 if not barren else float(min(FIRST_BACKOFF * 2 ** (barren - 1), LONGEST_BACKOFF))


class _Companions:
    """The companion processes of a run, from the first epoch to the end."""

    def __init__(self, processes: Processes, directory: RunDirectory, tell: Tell, stop: Callable[[], None]) -> None:
        self._processes, self._directory, self._tell, self._stop = processes, directory, tell, stop
        self._running: list[tuple[Companion, Process, asyncio.Task[None]]] = []
        self._begun = 0

    async def start(self, companions: Sequence[Companion], setting: Setting) -> None:
        """Start those that have not been started."""
        for companion in companions[self._begun :]:
            self._begun += 1
            model = setting.model.plain
            if companion.loads_model and model is None:
                self._tell(CompanionEnded(companion.name, 1, "the model is not a .keras file on this machine"))
                continue
            process = await self._processes.start(
                companion.name,
                companion.command(setting.connection.absolute(), model or Path()),
                self._directory.log(companion.name),
                line=self._line(companion.name),
                environment=companion.environment,
            )
            self._running.append((companion, process, asyncio.create_task(self._follow(companion, process))))

    async def finish(self) -> None:
        """Give each its time to end by itself, then end it."""
        for companion, process, following in self._running:
            await asyncio.wait([process.ended], timeout=companion.seconds)
            await self._processes.stop([process])
            await following

    def _line(self, name: str) -> Callable[[str], None]:
        return lambda line: self._tell(Said(name, line))

    async def _follow(self, companion: Companion, process: Process) -> None:
        code = await asyncio.shield(process.ended)
        self._tell(CompanionEnded(companion.name, code, process.last_words()))
        if companion.ends_run:
            self._stop()


def _connection(
    name: str, namespace: str, uid: str, fronts: Sequence[int], client: Credentials, directory: RunDirectory
) -> bytes:
    document = {
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "workers": [f"https://{HOST}:{port}" for port in fronts],
        "credentials": {
            "certificate": client.certificate.decode(),
            "key": client.key.decode(),
            "ca": client.ca.decode(),
        },
        DIRECTORY: str(directory.path),
    }
    return json.dumps(document, indent=1).encode()


def _model_place(manifest: Manifest, directory: RunDirectory) -> ModelPlace:
    try:
        return place_model(manifest, directory, os.environ)
    except (DigestMismatch, Unusable) as error:
        raise ModelRefused(str(error)) from None


def _why(end: EpochEnd) -> str:
    return f"{end.cause}: {end.detail}" if end.detail else str(end.cause)


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, or until `stop`."""
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting], timeout=seconds)
    waiting.cancel()
