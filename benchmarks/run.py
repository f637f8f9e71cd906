"""``python -m benchmarks.run``: measures everything, prints a table, writes build/bench.json.

Exit code 0 if all could be measured and every answer was right, whether or not a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import machine, report
from benchmarks.cluster import Course, serving
from benchmarks.example import ROOT, Example
from benchmarks.floor_processes import floor
from benchmarks.measure import (
    BATCH,
    QUICK,
    SINGLE,
    Effort,
    Figures,
    batch_figures,
    compile_figures,
    first_prediction_figures,
    load_figures,
    requests,
    single_figures,
    start_figures,
)
from triveni.mpc.compile import compile_program

WIDTH = 150
"""Columns of the table; a narrower terminal breaks its lines itself."""


async def measure(effort: Effort, directory: Path, console: Console) -> Figures:
    """All figures. `directory` is empty and private."""
    example = Example.read()
    cache_home = directory / "cache"
    cache = cache_home / "triveni" / "programs"  # where the command line looks for it
    console.print("compiling ...")
    figures = await compile_figures(cache)
    program = compile_program(example.architecture, "ABY3", cache=cache)
    courses: list[Course] = []
    floor_directory = directory / "floor"
    floor_directory.mkdir()
    async with floor(floor_directory, program, (SINGLE, BATCH)) as floors:
        console.print("single rows ...")
        async with serving(directory, cache) as cluster:
            courses.append(cluster.course)
            single = await requests(cluster, floors, example, SINGLE, effort.single_blocks, effort.single_block)
            figures |= single_figures(single, program)
        console.print("batches ...")
        async with serving(directory, cache) as cluster:
            courses.append(cluster.course)
            batch = await requests(cluster, floors, example, BATCH, effort.batch_blocks, effort.batch_block)
            figures |= batch_figures(batch)
    console.print("many clients ...")
    async with serving(directory, cache) as cluster:
        courses.append(cluster.course)
        figures |= await load_figures(directory / "connection.json", effort)
    figures |= start_figures(courses)
    console.print("start to first prediction ...")
    return figures | await first_prediction_figures(cache_home, effort.starts)


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser("benchmarks.run", description="Measure triveni on this machine.")
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works; no targets")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json", help="%(default)s")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    effort = QUICK if arguments.quick else Effort()
    console = Console(highlight=False, width=max(Console().width, WIDTH))
    load_before = machine.load()
    with tempfile.TemporaryDirectory(prefix="triveni-bench-") as directory:
        figures = asyncio.run(measure(effort, Path(directory), console))
    about = machine.describe(load_before)
    console.print(report.table(figures, targets=not arguments.quick))
    console.print(machine.line(about))
    report.write(arguments.output, report.document(figures, about, asdict(effort), targets=not arguments.quick))


if __name__ == "__main__":
    main()
