"""``python -m benchmarks.peers`` (`make bench-peers`): prints a table, writes build/bench-peers.json.

All systems run the MNIST example with secret weights and inputs as three processes on this machine, one after the
other. Milliseconds are medians from a batch's shares to its answer's shares, for all at the party that takes longest
or, in Triveni, at worker 0. A system that cannot be had is named with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import machine, report
from benchmarks.cluster import serving
from benchmarks.example import MODEL, ROOT, Example
from benchmarks.peers import environment
from benchmarks.peers.environment import Unavailable
from benchmarks.peers.systems import SYSTEMS, System
from triveni.client import AsyncClient
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.local import ports
from triveni.mpc.program import PARTIES
from triveni.sharing.keras_file import read_model

REPEATS: Mapping[int, int] = {1: 50, 32: 10}
"""How often each batch size is run: the other systems take seconds for a batch."""

RUN_S = 600


@dataclass(frozen=True, slots=True)
class Result:
    """Median milliseconds by batch size, and the largest difference of a logit from plain floating point."""

    name: str
    setting: str
    milliseconds: Mapping[int, float]
    difference: float


async def triveni(directory: Path, example: Example) -> Result:
    """Triveni's result; each batch size on workers of its own, whose median is then that size's."""
    milliseconds: dict[int, float] = {}
    difference = 0.0
    for rows, count in REPEATS.items():
        async with serving(directory, directory / "cache") as cluster, AsyncClient(cluster.connection) as client:
            for number in range(count):
                chosen = example.rows(number * rows, rows)
                difference = max(difference, example.require(chosen, await client.predict(example.images[chosen])))
            milliseconds[rows] = float((await cluster.status(0))["latency_ms"]["p50"])
    return Result("Triveni", "ABY3, 64-bit ring, mutual TLS", milliseconds, difference)


def write_example(directory: Path, example: Example) -> None:
    """What the other systems read: weights, digits, plain answers, certificates."""
    model = read_model(MODEL)
    arrays = [array for layer in model.architecture.layers for array in model.weights.get(layer.name, ())]
    most = max(REPEATS)
    np.savez(
        directory / "example.npz",
        images=example.images[:most],
        logits=example.logits[:most],
        weights=np.array(len(arrays)),
        allow_pickle=False,
        **{f"weight_{number}": np.asarray(array) for number, array in enumerate(arrays)},
    )
    (directory / "repeats.json").write_text(json.dumps(REPEATS))
    authority = Authority.create("default", "peers")
    for party in PARTIES:
        authority.issue(Identity.worker("default", "peers", 1, party)).write(directory / f"party-{party}")


def other(system: System, directory: Path) -> Result:
    """Another system's result; Unavailable if it cannot be installed or run."""
    python = environment.python_of(system)
    script = Path(__file__).with_name(system.script)
    addresses = map(str, ports.choose(None).peer)
    written = directory / "measured.json"
    written.unlink(missing_ok=True)
    environment.run([str(python), str(script), str(directory), *addresses], RUN_S)
    measured = json.loads(written.read_text())
    medians = {int(rows): statistics.median(times) for rows, times in measured["milliseconds"].items()}
    return Result(system.name, system.setting, medians, measured["difference"])


def table(results: list[Result]) -> Table:
    """One line for each system; ratios to the first."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("system")
    for title in ("batch 1, ms", "ratio", "batch 32, ms", "ratio", "logit difference"):
        shown.add_column(title, justify="right")
    shown.add_column("setting", style="dim")
    first = results[0].milliseconds
    for result in results:
        cells = []
        for rows, milliseconds in result.milliseconds.items():
            cells += [report.shown(milliseconds), f"{milliseconds / first[rows]:.1f}"]
        shown.add_row(result.name, *cells, f"{result.difference:.1e}", result.setting)
    return shown


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser("benchmarks.peers", description="Compare triveni with other systems.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench-peers.json", help="%(default)s")
    parser.add_argument("--remove", action="store_true", help="remove the environments afterwards (some gigabytes)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    console = Console(highlight=False, width=max(Console().width, 150))
    example, load_before = Example.read(), machine.load()
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="triveni-bench-") as name:
        directory = Path(name)
        write_example(directory, example)
        console.print("Triveni ...")
        results = [asyncio.run(triveni(directory, example))]
        for system in SYSTEMS:
            console.print(f"{system.name} (a first run installs it) ...")
            try:
                results.append(other(system, directory))
            except Unavailable as error:
                missing[system.name] = str(error)
    about = machine.describe(load_before)
    console.print(table(results))
    for system_name, why in missing.items():
        console.print(f"{system_name} could not be had: {why}", markup=False)
    console.print(machine.line(about))
    content = {
        "results": [
            {"name": r.name, "setting": r.setting, "milliseconds": r.milliseconds, "logit_difference": r.difference}
            for r in results
        ],
        "missing": missing,
        "machine": about,
    }
    report.write(arguments.output, content)
    if arguments.remove:
        environment.remove()


if __name__ == "__main__":
    main()
