"""One mask that is off would be noticed, whichever it is: of every protocol's masks some are tried for each worker.

Runs of a mask are RUNS with a blank image and as many with noise, of which the worker's own shares are the same. While
the mask is on, no word is the same in two runs (chance: less than 10^-9 in all), and bytes look alike for both images.
With the mask off and nothing else changed, every word is the same in all runs of an image: there is no chance in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.integration.cluster import MODEL
from tests.integration.secrecy.conftest import noise_of
from tests.integration.secrecy.evenness import LARGEST, deviation_of
from tests.integration.secrecy.one_mask import Bench, Mask, Seen, Words, masks
from triveni.mpc.compile import compile_program
from triveni.mpc.fixedpoint import FIXED_POINT, fixed_point
from triveni.mpc.lowering import lower
from triveni.mpc.program import Program
from triveni.mpc.sharing import components_of, split
from triveni.sharing.keras_file import read_model

RUNS = 6

TRIED = 4
"""Masks for each worker and protocol, from the first to the last."""

everywhere = pytest.mark.parametrize(
    ("protocol", "party", "which"),
    [(protocol, party, which) for protocol in FIXED_POINT for party in range(3) for which in range(TRIED)],
)


@pytest.fixture(scope="module")
def program_of(programs: Path) -> Callable[[str], Program]:
    architecture = read_model(MODEL).architecture
    return cache(lambda protocol: compile_program(architecture, protocol, cache=programs, timeout=120))


@pytest.fixture(scope="module")
def bench_of(program_of: Callable[[str], Program]) -> Callable[[str], Bench]:
    model = read_model(MODEL)
    weights = lower(model.architecture).encode(model.weights)

    def make(protocol: str) -> Bench:
        words = {name: fixed_point(protocol).encode(values, name) for name, values in weights.items()}
        return Bench(program_of(protocol), words)

    return cache(make)


def requests(protocol: str, party: int) -> list[Sequence[Words]]:
    """Components of the blank image, then of noise; those that the worker holds are the same in all."""
    noise = fixed_point(protocol).encode(noise_of(protocol)[np.newaxis], "x")
    known = split(noise, protocol)
    (lacking, *_) = set(range(len(known))) - set(components_of(party, protocol))
    others = sum((known[number] for number in range(len(known)) if number != lacking), np.zeros_like(noise))
    both = [[*known[:lacking], image - others, *known[lacking + 1 :]] for image in (np.zeros_like(noise), noise)]
    return [both[0]] * RUNS + [both[1]] * RUNS


def one_of(all_masks: Sequence[Mask], which: int) -> Mask:
    return all_masks[which * (len(all_masks) - 1) // (TRIED - 1)]


def repeats(seen: Sequence[Seen], mask: Mask) -> list[float]:
    """For each message that the mask hides, which part of its words stands at the same place in two of the runs."""
    parts = []
    for node in mask.hides:
        words = np.sort(np.stack([np.frombuffer(run[node], "<u8") for run in seen]), axis=0)
        parts.append(float((words[1:] == words[:-1]).any(axis=0).mean()))
    return parts


def worst_deviation(seen: Sequence[Seen], mask: Mask) -> float:
    blank, noise = seen[:RUNS], seen[RUNS:]
    return max(deviation_of([run[node] for run in blank], [run[node] for run in noise]) for node in mask.hides)


@everywhere
def test_a_mask_that_is_off_would_be_noticed_and_one_that_is_on_hides_everything(
    bench_of: Callable[[str], Bench], program_of: Callable[[str], Program], protocol: str, party: int, which: int
) -> None:
    bench = bench_of(protocol)
    mask = one_of(masks(program_of(protocol), bench.draws, party), which)
    asked = requests(protocol, party)

    on = bench.see(mask, asked, off=False)
    assert repeats(on, mask) == [0.0] * len(mask.hides)
    assert worst_deviation(on, mask) < LARGEST

    off = bench.see(mask, asked, off=True)
    assert max(repeats(off, mask)) == 1.0
