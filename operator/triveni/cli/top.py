"""`triveni top`: a running model's epoch, quota and latency, live, by its workers' own word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.text import Text

from triveni.cli.output import columns, screen
from triveni.cli.targets import TargetOptions, connected
from triveni.cli.watching import Shown, require_one, show
from triveni.client.live import Live, WorkerStatus


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; `interval` in seconds."""

    name: str | None = None
    target: TargetOptions = field(default_factory=TargetOptions)
    interval: float = 1.0
    once: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What the workers said at a time (monotonic, in seconds)."""

    at: float
    workers: Sequence[WorkerStatus]

    @property
    def epoch(self) -> int:
        """The newest epoch that a worker is in; 0 if nobody answers."""
        return max((worker.epoch for worker in self.workers), default=0)

    @property
    def answered(self) -> int:
        """Rows of this epoch that all workers that can be asked have answered."""
        return min((worker.answered for worker in self.workers if not worker.problem), default=0)


def top(options: Options) -> None:
    """Show it until interrupted, or once.

    Raises:
        CommandFailed, ClientError: there is nothing to be seen.
    """
    place = options.target.place(options.name, "top NAME")

    async def run() -> None:
        before: Sample | None = None
        async with connected(place) as connection, Live(connection) as live:

            async def now() -> Shown:
                nonlocal before
                sample = Sample(time.monotonic(), await live.status())
                found = measured(connection.name, before, sample)
                before = sample
                return Shown(list(lines(found)), [found])

            await show(now, screen(), as_json=options.as_json, every=None if options.once else options.interval)
        require_one(before.workers if before is not None else ())

    asyncio.run(run())


def measured(name: str, before: Sample | None, now: Sample) -> dict[str, Any]:
    """As JSON: what can be said of a model after this sample. `rows_per_s` is None before the second of an epoch."""
    asked = [worker for worker in now.workers if not worker.problem]
    rate = None
    if before is not None and before.epoch == now.epoch and now.at > before.at:
        rate = round((now.answered - before.answered) / (now.at - before.at), 3)
    granted = asked[0].granted if asked else None
    return {
        "name": name,
        "epoch": now.epoch or None,
        "granted": granted,
        "answered": now.answered,
        "left": None if granted is None else granted - now.answered,
        "waiting": max((worker.waiting for worker in asked), default=0),
        "rows_per_s": rate,
        "latency_ms": dict(asked[0].latency_ms) if asked else {},
        "workers": [asdict(worker) for worker in now.workers],
    }


def lines(found: dict[str, Any]) -> Iterator[Text]:
    """The same for people."""
    epoch = "no worker answers" if found["epoch"] is None else f"epoch {found['epoch']}"
    yield Text(f"{found['name']}: {epoch}", "bold")
    left = "no limit" if found["left"] is None else f"{found['granted']} granted, {found['left']} left"
    rate = "" if found["rows_per_s"] is None else f", {found['rows_per_s']:.1f} a second"
    yield Text(f"  quota      {left}; {found['answered']} answered{rate}, {found['waiting']} waiting")
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in found["latency_ms"].items())
    yield Text(f"  latency    {latency or 'nothing answered yet'}" + (" (engine)" if latency else ""))
    head = ("WORKER", "STATE", "ADMITTED", "ANSWERED", "RUNS", "ROUNDS", "SENT")
    rows = [
        (str(w["party"]), w["problem"])
        if w["problem"]
        else (
            str(w["party"]),
            w["state"],
            *(str(w[key]) for key in ("admitted", "answered", "runs", "rounds")),
            f"{w['bytes_sent'] / 1e6:.1f} MB",
        )
        for w in found["workers"]
    ]
    for line in columns([head, *rows]):
        yield Text(f"  {line}")
