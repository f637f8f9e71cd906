"""`python -m tests.chaos`: kill workers, sharing processes and controllers of a served example, and count.

Exit code 0 if all rules held, 1 if one was broken, 130 after Ctrl-C. Takes about five seconds a kill.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.chaos.chaos import SEED, Chaos, Wanted, table
from tests.chaos.clients import Digits
from tests.integration.cluster import ROOT
from tests.integration.plain_keras import keras_answers
from triveni.cli.cache import cache_directory

INTERRUPTED = 130


def say(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--quota", type=int, default=1000, help="of each SecureModel (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="that ask at the same time (default: %(default)s)")
    parser.add_argument("--seed", type=int, help=f"to have the same kills again; also in {SEED}")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(os.environ.get(SEED) or random.randrange(2**32))
    folder = Path(tempfile.mkdtemp(prefix="triveni-chaos-"))
    say(f"--seed {seed}; files are in {folder}")
    with np.load(ROOT / "examples" / "mnist" / "digits.npz") as file:
        images = np.array(file["images"])
    digits = Digits(images, keras_answers(images, folder), options.clients)
    programs = cache_directory()
    chaos = Chaos(Wanted(options.quota, options.kills, seed, digits, programs), folder, say)
    interrupted = False
    try:
        asyncio.run(chaos.run())
    except KeyboardInterrupt:
        interrupted = True
    say(table(chaos.figures))
    failures = chaos.figures.failures()
    for failure in failures:
        say(f"FAILED: {failure}")
    if failures:
        say(f"The same kills again: --seed {seed}. What the processes left stays in {folder}")
        return 1
    shutil.rmtree(folder)
    return INTERRUPTED if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
