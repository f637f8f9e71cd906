"""Compiles the example once without and once with a cache: ``python -m benchmarks.compilation CACHE``, one JSON line.

A process of its own: the largest child of it is the compiler, whose memory the system then tells.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.example import MODEL
from triveni.mpc.compile import compile_program
from triveni.mpc.prove import require_proof
from triveni.sharing.keras_file import read_model


def main(cache: Path) -> None:
    """Seconds and megabytes (10^6 bytes) of a cold compile, seconds of a cached one and of the proof."""
    architecture = read_model(MODEL).architecture
    times = [time.perf_counter()]
    compile_program(architecture, "ABY3", cache=cache)
    times.append(time.perf_counter())
    program = compile_program(architecture, "ABY3", cache=cache)
    times.append(time.perf_counter())
    require_proof(program)
    times.append(time.perf_counter())
    cold, cached, proof = (after - before for before, after in pairwise(times))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    figures = {"compile_s": cold, "compile_rss_mb": memory, "cached_compile_s": cached, "prove_s": proof}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
