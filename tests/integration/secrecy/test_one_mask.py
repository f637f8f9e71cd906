"""One mask that is off would be noticed, whichever it is: of every protocol's masks some are tried for each worker.

Runs of a mask are RUNS with a blank image and as many with noise, of which the worker's own shares are the same. While
the mask is on, no word is the same in two runs (chance: less than 10^-9 in all), and bytes look alike for both images.
With the mask off and nothing else changed, every word is the same in all runs of an image: there is no chance in it.

Worker 2 of SecureNN gets two shares of residues instead, and may see of each comparison only whether there is a zero,
as often as not; where it stands and what else there is has to be even. Without the shift between the two shares one of
them is enough: that is another attack, tried in tests/unit/mpc/test_relu_attack.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import MODEL
from tests.integration.secrecy.conftest import noise_of
from tests.integration.secrecy.evenness import LARGEST, deviation, deviation_of
from tests.integration.secrecy.one_mask import Bench, Mask, Seen, Words
from tests.integration.secrecy.transcript import words_of
from triveni.mpc.comparison import COLUMNS, MODULUS
from triveni.mpc.compile import compile_program
from triveni.mpc.fixedpoint import FIXED_POINT, fixed_point
from triveni.mpc.lowering import lower
from triveni.mpc.program import Node
from triveni.mpc.sharing import components_of, split
from triveni.sharing.keras_file import read_model

RUNS = 6

TRIED = 4
"""Masks for each worker and protocol, from the first to the last."""

HELPER = ("SecureNN", 2)
"""Gets no words, but residues."""

everywhere = pytest.mark.parametrize(
    ("protocol", "party", "which"),
    [
        (protocol, party, which)
        for protocol in FIXED_POINT
        for party in range(3)
        for which in range(TRIED)
        if (protocol, party) != HELPER
    ],
)


@pytest.fixture(scope="module")
def bench_of(programs: Path) -> Callable[[str], Bench]:
    model = read_model(MODEL)
    weights = lower(model.architecture).encode(model.weights)

    def make(protocol: str) -> Bench:
        program = compile_program(model.architecture, protocol, cache=programs, timeout=120)
        return Bench(program, {name: fixed_point(protocol).encode(values, name) for name, values in weights.items()})

    return cache(make)


@pytest.fixture(scope="module")
def masks_of(bench_of: Callable[[str], Bench]) -> Callable[[str, int], list[Mask]]:
    return cache(lambda protocol, party: bench_of(protocol).masks(party, requests(protocol, party)[0]))


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


def repeats(seen: Sequence[Seen], node: Node) -> float:
    """Which part of a message's words stands at the same place in two of the runs."""
    words = np.sort(np.stack([words_of(run[node]) for run in seen]), axis=0)
    return float((words[1:] == words[:-1]).any(axis=0).mean())


def evenness(seen: Sequence[Seen], node: Node) -> float:
    blank, noise = seen[:RUNS], seen[RUNS:]
    return deviation_of([run[node] for run in blank], [run[node] for run in noise])


@everywhere
def test_a_mask_that_is_off_would_be_noticed_and_one_that_is_on_hides_everything(
    bench_of: Callable[[str], Bench], masks_of: Callable[[str, int], list[Mask]], protocol: str, party: int, which: int
) -> None:
    bench, asked = bench_of(protocol), requests(protocol, party)
    mask = one_of(masks_of(protocol, party), which)

    on = bench.see(mask, asked, off=False)
    assert [repeats(on, node) for node in mask.hides] == [0.0] * len(mask.hides)
    assert max(evenness(on, node) for node in mask.hides) < LARGEST

    off = bench.see(mask, asked, off=True)
    assert [repeats(off, node) for node in mask.hides] == [1.0] * len(mask.hides)


def compared(seen: Sequence[Seen], mask: Mask) -> NDArray[np.int64]:
    """What worker 2 adds up, (runs, comparisons, columns)."""
    first, second = (np.stack([np.frombuffer(run[node], np.uint8) for run in seen]) for node in mask.hides)
    return ((first.astype(np.int64) + second) % MODULUS).reshape(len(seen), -1, COLUMNS)


def from_even(values: NDArray[np.int64], kinds: int) -> float:
    """How far the counts of values from 0 to `kinds` - 1 are from those of even chances, in standard deviations."""
    even = np.random.default_rng(7).integers(0, kinds, values.size)
    return deviation(np.bincount(values, minlength=kinds), np.bincount(even, minlength=kinds))


def from_independent(runs: NDArray[np.bool_]) -> float:
    """How much more often than every other time two runs of a kind agree, in standard deviations."""
    agree = runs[1:] == runs[:-1]
    return float((agree.sum() - agree.size / 2) / np.sqrt(agree.size / 4))


def unevenness(seen: Sequence[Seen], mask: Mask) -> dict[str, float]:
    """Of what each of the three masks is to hide."""
    columns = compared(seen, mask)
    there = (columns == 0).any(axis=2)
    return {
        "beta": max(from_independent(there[:RUNS]), from_independent(there[RUNS:])),
        "factor": from_even(columns[columns > 0] - 1, MODULUS - 1),
        "rotation": from_even(np.nonzero(columns == 0)[2], COLUMNS),
    }


@pytest.mark.parametrize("relu", range(3))
def test_a_mask_of_a_comparison_that_is_off_would_be_noticed_by_the_helper(
    bench_of: Callable[[str], Bench], relu: int
) -> None:
    protocol, party = HELPER
    bench, asked = bench_of(protocol), requests(protocol, party)
    masks = bench.masks_of_comparisons()[relu]
    on = unevenness(bench.see(masks["beta"], asked, off=False), masks["beta"])
    assert max(on.values()) < LARGEST
    for what, mask in masks.items():
        off = unevenness(bench.see(mask, asked, off=True), mask)
        assert off[what] > LARGEST, what
