"""``python -m benchmarks.extraction``: how much of a small network clients and workers find out, by number of requests.

It prints the table of docs/threat-model.md, and puts it there with ``--docs``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.extraction import black_box, rounding
from benchmarks.extraction.network import Weights, architecture, ask
from benchmarks.models_report import replace_table
from triveni.mpc.compile import compile_program
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.program import PARTIES, Program

MARK = "<!-- table: make bench-extraction -->"

REQUESTS = (300, 3_000)

BITS = (None, 16, 8, 4)

SEED, INPUTS_SEED, FIT_SEED = 3, 1, 0
"""Of the network, of what the client asks about, and of where its fits begin: with others it may need more starts."""

AT_ONCE = 10_000
"""Rows that are evaluated together."""


@dataclass(frozen=True)
class Row:
    """The largest error of what is found, for each number of requests: by a client alone, and by one with a worker."""

    protocol: str
    bits: int | None
    client: Sequence[float]
    worker: Sequence[float]


def client_alone(program: Program, weights: Weights, bits: int | None, requests: int) -> float:
    """Of the unit that is found worst, in parts of its weights."""
    x = black_box.inputs(requests, INPUTS_SEED)
    unit = 2.0 ** (fixed_point(program.protocol).fractional_bits if bits is None else bits)
    parts = [ask(program, weights, x[start : start + AT_ONCE]).answers for start in range(0, requests, AT_ONCE)]
    return black_box.worst_error(black_box.fit(x, np.concatenate(parts) / unit, FIT_SEED), weights)


def client_and_worker(program: Program, weights: Weights, requests: int) -> float:
    """Of the weight of the last layer that is found worst, in parts of the largest; by the worker that does best."""
    made = ask(program, weights, same_input(requests))
    largest = np.abs(weights.last).max()
    return min(
        float(np.abs(rounding.weights_of_last_layer(made, party) - weights.last).max() / largest)
        for party in PARTIES
        if rounding.truncation_nodes(program, party)
    )


def same_input(rows: int) -> NDArray[np.float64]:
    """An input, again and again, where every unit is active."""
    return np.repeat(np.random.default_rng(5).uniform(-0.2, 0.2, (1, black_box.INPUTS)), rows, 0)


def measure(cache: Path, requests: Sequence[int]) -> Iterator[Row]:
    """A row for each protocol and setting."""
    weights = Weights.drawn(SEED)
    for protocol in ("ABY3", "SecureNN"):
        for bits in BITS:
            program = compile_program(architecture(bits), protocol, cache=cache)
            yield Row(
                protocol,
                bits,
                [client_alone(program, weights, bits, n) for n in requests],
                [client_and_worker(program, weights, n) for n in requests],
            )


def markdown(rows: Sequence[Row], requests: Sequence[int], day: date) -> str:
    """The table, and when it was measured."""
    titles = [f"{who}, {n:,}" for who in ("client alone", "client and worker") for n in requests]
    lines = [
        f"| protocol | fractionalBits | {' | '.join(titles)} |",
        f"|:--|:--|{'--:|' * len(titles)}",
        *(
            f"| {row.protocol} | {row.bits if row.bits is not None else 'left out'} | "
            f"{' | '.join(map(shown, (*row.client, *row.worker)))} |"
            for row in rows
        ),
    ]
    return (
        "\n".join(lines)
        + f"\n\nMeasured {day.isoformat()}; numbers of requests in the head, the best worker of the three."
    )


def shown(error: float) -> str:
    """One digit, or that nothing is found: an error of 1 is that of guessing 0."""
    return f"{error:.1g}" if error < 0.5 else "nothing"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser("benchmarks.extraction", description=__doc__)
    parser.add_argument(
        "--cache", type=Path, default=Path("build/programs"), metavar="DIR", help="of compiled programs"
    )
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="put the table there")
    parser.add_argument("--requests", type=int, nargs="+", default=REQUESTS, metavar="N")
    options = parser.parse_args()
    table = markdown(list(measure(options.cache, options.requests)), options.requests, datetime.now(UTC).date())
    print(table)
    if options.docs:
        replace_table(options.docs, table, MARK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
