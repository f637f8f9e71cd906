"""``python -m tests.fuzz --inputs 1000000``: hostile input for every parser; exit code 1 if one did not stand it."""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time

from tests.fuzz.run import feed, run
from tests.fuzz.targets import targets


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Hostile input for every parser.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="another one makes other inputs (default 1)")
    parser.add_argument("--only", default="", metavar="NAME", help="targets whose name contains this")
    parser.add_argument("--input", type=int, metavar="N", help="only this input of them, to look at it again")
    options = parser.parse_args()
    chosen = [target for target in targets() if options.only in target.name]
    if options.input is not None:
        running = iter([feed(target, [options.input], options.seed) for target in chosen])
    else:
        running = run(chosen, options.inputs, options.seed)
    results = []
    for result in running:
        print(result, *result.findings, sep="\n    ", flush=True)
        results.append(result)
    inputs, findings = (sum(counts) for counts in zip(*((r.inputs, len(r.findings)) for r in results), strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{inputs:,} inputs of {len(results)} parsers, seed {options.seed}: {findings} findings,"
        f" {time.process_time():.0f} s of processor time, at most {memory:.0f} MB"
    )
    return 1 if findings else 0


sys.exit(asyncio.run(main()))
