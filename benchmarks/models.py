"""``python -m benchmarks.models``: serves each model of examples/ in each protocol, and compares it with plain Keras.

Prints a table and writes build/models.json; with ``--docs FILE`` the table in that page is replaced by this run's. Exit
code 0 if everything was served and no answer was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks import machine, models_report, report
from benchmarks.cluster import Cluster, serving
from benchmarks.example import ROOT, WrongAnswer
from benchmarks.measure import percentile
from benchmarks.models_report import Row
from benchmarks.zoo import ZOO, Model
from triveni.api.securemodel import Protocol
from triveni.client import AsyncClient
from triveni.mpc.compile import compile_program
from triveni.mpc.compile.driver import PROTOCOLS
from triveni.mpc.schedule import Schedule
from triveni.sharing.keras_file import read_model

TOLERANCE = 0.05
"""How far a secret logit may be from the plain one before the answer is called wrong; the table tells how far it is."""

ANSWER_S = 120.0
WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """How many single rows are timed, and how many pictures are compared, in batches of how many rows."""

    single_rows: int = 40
    pictures: int = 200
    batch: int = 32


QUICK = Effort(3, 4, 2)


async def measure(model: Model, protocol: Protocol, effort: Effort, directory: Path, cache: Path) -> Row:
    """Serve a model and ask it. `directory` is private, `cache` is for compiled programs.

    Raises:
        WrongAnswer: a logit is far from plain Keras's.
        CompileError, SharingFailure, EpochLost: it cannot be served.
    """
    keras = read_model(model.path)
    before = time.perf_counter()
    program = await asyncio.to_thread(compile_program, keras.architecture, protocol, cache=cache)
    compile_s = time.perf_counter() - before
    cost = Schedule(program).cost()
    images, expected = model.images()[: effort.pictures], model.answers()[: effort.pictures]
    labels = model.labels()[: effort.pictures]
    latencies: list[float] = []
    answers = np.zeros_like(expected)
    async with (
        serving(directory, cache, protocol, manifest=model.manifest(protocol)) as cluster,
        AsyncClient(cluster.connection, deadline=ANSWER_S) as client,
    ):
        for number in range(WARM_UP):
            await client.predict(images[number % len(images)])
        sent_before = await _bytes_sent(cluster)
        for number in range(effort.single_rows):
            row = number % len(images)
            before = time.perf_counter()
            answers[row] = await client.predict(images[row])
            latencies.append((time.perf_counter() - before) * 1e3)
            require(expected[row : row + 1], answers[row : row + 1], row)
        bytes_sent = (await _bytes_sent(cluster) - sent_before) / effort.single_rows
        before = time.perf_counter()
        for first in range(0, len(images), effort.batch):
            rows = slice(first, first + effort.batch)
            answers[rows] = await client.predict(images[rows])
        batch_ms = (time.perf_counter() - before) * 1e3
    difference = require(expected, answers, 0)
    return Row(
        model=model.name,
        protocol=protocol,
        title=model.title,
        parameters=sum(int(np.size(w)) for weights in keras.weights.values() for w in weights),
        pictures=len(images),
        right_plain=float((expected.argmax(axis=1) == labels).mean()),
        right_secret=float((answers.argmax(axis=1) == labels).mean()),
        same_digit=float((answers.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        difference_max=difference,
        rounds=cost.online_rounds,
        rounds_ahead=cost.ahead_rounds,
        bytes_online=cost.online_bytes.at(1),
        bytes_ahead=cost.ahead_bytes.at(1),
        bytes_sent=bytes_sent,
        latency_ms=statistics.median(latencies),
        latency_p90_ms=percentile(latencies, 90),
        batch_ms_per_row=batch_ms / len(images),
        compile_s=compile_s,
    )


def require(expected: np.ndarray, answers: np.ndarray, first: int) -> float:
    """The largest difference of a logit; WrongAnswer if one is far away. `first` is the number of the first picture."""
    differences = np.abs(answers - expected).max(axis=1)
    worst = int(differences.argmax())
    if not differences[worst] <= TOLERANCE:
        raise WrongAnswer(first + worst, float(differences[worst]))
    return float(differences[worst])


async def _bytes_sent(cluster: Cluster) -> int:
    return sum(int(status["bytes_sent"]) for status in await cluster.statuses())


async def measure_all(
    models: Sequence[Model], protocols: Sequence[Protocol], effort: Effort, directory: Path
) -> list[Row]:
    """One row after the other; `directory` is empty and private."""
    rows = []
    for model in models:
        for protocol in protocols:
            print(f"{model.name} in {protocol} ...", flush=True)
            rows.append(await measure(model, protocol, effort, directory, directory / "cache"))
    return rows


def main() -> None:
    """Measure, show, write."""
    names = [model.name for model in ZOO]
    parser = argparse.ArgumentParser("benchmarks.models", description="Serve models people know, beside plain Keras.")
    parser.add_argument("--model", action="append", choices=names, help="this one only; may be repeated")
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help="the same for protocols")
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "models.json", help="%(default)s")
    parser.add_argument("--docs", type=Path, help="a page of Markdown whose table is replaced")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    effort = QUICK if arguments.quick else Effort()
    models = [model for model in ZOO if model.name in (arguments.model or names)]
    protocols = arguments.protocol or PROTOCOLS
    load_before = machine.load()
    with tempfile.TemporaryDirectory(prefix="triveni-bench-") as directory:
        rows = asyncio.run(measure_all(models, protocols, effort, Path(directory)))
    about = machine.describe(load_before)
    table = models_report.markdown(rows, about, datetime.now(UTC).date())
    print(table)
    report.write(
        arguments.output, {"rows": [asdict(row) for row in rows], "machine": about, "settings": asdict(effort)}
    )
    if arguments.docs:
        models_report.replace_table(arguments.docs, table)


if __name__ == "__main__":
    main()
