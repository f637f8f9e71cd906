"""``python -m benchmarks.extraction``: how much of a small network clients and workers find out, by number of requests.

It prints the tables of docs/threat-model.md, and writes build/extraction.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.extraction import black_box, rounding
from benchmarks.extraction.network import Weights, architecture, ask
from triveni.mpc.compile import compile_program
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.program import Program

REQUESTS = (300, 3_000, 30_000)

BITS = (None, 12, 8, 4)

SEED = 3

AT = np.random.default_rng(5).uniform(-0.2, 0.2, (1, black_box.INPUTS))
"""Where a worker asks again and again: every unit is active there."""

CHUNK = 10_000
"""Rows that are evaluated at once."""


def shown(bits: int | None, program: Program) -> str:
    """The setting, as the tables have it."""
    return f"all ({fixed_point(program.protocol).fractional_bits})" if bits is None else str(bits)


def by_client(program: Program, weights: Weights, bits: int | None, requests: int) -> float:
    """The worst unit's error of a client alone, in parts of the unit."""
    x = black_box.inputs(requests, SEED)
    unit = 2.0 ** (fixed_point(program.protocol).fractional_bits if bits is None else bits)
    answers = np.concatenate([ask(program, weights, part).answers for part in _chunks(x)]) / unit
    return black_box.worst_error(black_box.fit(x, answers, SEED), weights)


def by_worker(program: Program, weights: Weights, requests: int, party: int) -> float:
    """The worst error of a weight of the last layer, by a worker who is a client too, in parts of the largest."""
    made = ask(program, weights, np.repeat(AT, requests, 0))
    found = rounding.weights_of_last_layer(made, party)
    return float(np.abs(found - weights.last).max() / np.abs(weights.last).max())


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(x), CHUNK):
        yield x[start : start + CHUNK]


def measure(cache: Path, requests: Sequence[int]) -> Iterator[dict[str, object]]:
    """A row for each protocol, setting, and who it is that finds out."""
    weights = Weights.drawn(SEED)
    for protocol in ("ABY3", "SecureNN"):
        for bits in BITS:
            program = compile_program(architecture(bits), protocol, cache=cache)
            who = {"client alone": None} | {f"client and worker {p}": p for p in range(3)}
            if protocol == "SecureNN":
                del who["client and worker 2"]  # who knows no rounding: as a client alone
            for name, party in who.items():
                errors = [
                    by_client(program, weights, bits, n) if party is None else by_worker(program, weights, n, party)
                    for n in requests
                ]
                yield {"protocol": protocol, "bits": shown(bits, program), "who": name, "errors": errors}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser("benchmarks.extraction", description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("build/programs"))
    parser.add_argument("--output", type=Path, default=Path("build/extraction.json"))
    parser.add_argument("--requests", type=int, nargs="+", default=REQUESTS)
    options = parser.parse_args()
    rows = list(measure(options.cache, options.requests))
    table = Table("protocol", "bits of answers", "who", *(f"{n:,} requests" for n in options.requests), box=None)
    for row in rows:
        errors = row["errors"]
        assert isinstance(errors, list)
        table.add_row(row["protocol"], row["bits"], row["who"], *(f"{error:.2g}" for error in errors))  # type: ignore[arg-type]
    Console(width=120).print(table)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"requests": options.requests, "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
