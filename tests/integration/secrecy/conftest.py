"""Two recordings for all tests: one of an epoch as it is, one of an epoch whose masks are spoiled as the tests need it.

Requests follow one another, one row each, so request number n is run number n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import BareClient, parts_of, revealed
from tests.integration.secrecy.recording import Mutation, Recording, recording_cluster
from tests.integration.secrecy.transcript import Run
from triveni.client import Client
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.sharing import components_of, split

TIMES = 50
"""How often the same request is sent in the honest epoch."""

SPOILED_TIMES = 20
"""How often in each part of the spoiled one."""

PAIRS = [[0, 1], [0, 2], [1, 2]]

Words = NDArray[np.int64]


@dataclass(frozen=True)
class Honest:
    """An epoch as it is. Its requests: `digit`, shared afresh each time; the same shares of it each time; `noise`."""

    recording: Recording
    digit: NDArray[np.floating]
    noise: NDArray[np.floating]
    logits: Sequence[NDArray[np.floating]]

    def fresh_shares(self, party: int) -> list[Run]:
        return self.recording.runs(party)[:TIMES]

    def same_shares(self, party: int) -> list[Run]:
        return self.recording.runs(party)[TIMES : 2 * TIMES]

    def of_noise(self, party: int) -> list[Run]:
        return self.recording.runs(party)[2 * TIMES : 3 * TIMES]


@dataclass(frozen=True)
class Spoiled:
    """An epoch whose masks are spoiled. Of its requests

    - the first are of the same shares, and no mask is ever made anew;
    - then for each worker: all that this worker knows itself (its keystreams, its shares of the input) stays the same,
      while the input, blank or noise, and the masks of the other two change; and the same with zeros for these masks;
    - the last is not shared at all: worker 0 is given the input.
    """

    recording: Recording
    noise: NDArray[np.floating]

    def frozen(self, party: int) -> list[Run]:
        return self.recording.runs(party)[:SPOILED_TIMES]

    def given_own_knowledge(self, party: int, *, masks: bool) -> tuple[list[Run], list[Run]]:
        """The transcripts for the blank input and for noise."""
        start = SPOILED_TIMES * (1 + 4 * party + (0 if masks else 2))
        runs = self.recording.runs(party)[start : start + 2 * SPOILED_TIMES]
        return runs[:SPOILED_TIMES], runs[SPOILED_TIMES:]


@pytest.fixture(scope="session")
def noise() -> NDArray[np.floating]:
    """An input as far from a digit and from a blank image as the fixed point allows."""
    return np.random.default_rng(2).uniform(-1000, 1000, (28, 28, 1))


@pytest.fixture(scope="session")
def honest(
    tmp_path_factory: pytest.TempPathFactory,
    programs: Path,
    digits: NDArray[np.float32],
    noise: NDArray[np.floating],
) -> Honest:
    directory = tmp_path_factory.mktemp("honest")
    digit = digits[0]
    with recording_cluster(directory, programs) as cluster:
        cluster.serve()
        with Client(cluster.connection()) as client, BareClient(cluster) as bare:
            logits = [client.predict(digit) for _ in range(TIMES)]
            shares = split(_words(digit))
            logits += [revealed(bare.send(parts_of(f"same-{number:02}", shares))) for number in range(TIMES)]
            logits += [client.predict(noise) for _ in range(TIMES)]
        cluster.terminate()
    return Honest(Recording(directory), digit, noise, logits)


@pytest.fixture(scope="session")
def spoiled(tmp_path_factory: pytest.TempPathFactory, programs: Path, noise: NDArray[np.floating]) -> Spoiled:
    directory = tmp_path_factory.mktemp("spoiled")
    with recording_cluster(directory, programs, _mutations()) as cluster:
        cluster.serve()
        with BareClient(cluster) as bare:
            for number, components in enumerate(_spoiled_requests(noise)):
                revealed(bare.send(parts_of(f"spoiled-{number:03}", components)))
        cluster.terminate()
    return Spoiled(Recording(directory), noise)


def _mutations() -> list[Mutation]:
    mutations: list[Mutation] = [(1, SPOILED_TIMES, "frozen", [*PAIRS, [0], [1], [2]])]
    for party in range(3):
        first, last = SPOILED_TIMES * (1 + 4 * party) + 1, SPOILED_TIMES * (5 + 4 * party)
        known = [pair for pair in PAIRS if party in pair]
        unknown = [pair for pair in PAIRS if party not in pair]
        mutations.append((first, last, "frozen", [[party], *known]))
        mutations.append((first + 2 * SPOILED_TIMES, last, "zero", unknown))
    return mutations


def _spoiled_requests(noise: NDArray[np.floating]) -> list[tuple[Words, Words, Words]]:
    blank = np.zeros_like(noise)
    requests = [split(_words(noise))] * SPOILED_TIMES
    for party in range(3):
        known = split(_words(noise))
        for image in (blank, noise, blank, noise):
            requests += [_with_fixed_shares(_words(image), known, party)] * SPOILED_TIMES
    words = _words(noise)
    return [*requests, (words, np.zeros_like(words), np.zeros_like(words))]


def _with_fixed_shares(words: Words, known: tuple[Words, Words, Words], party: int) -> tuple[Words, Words, Words]:
    """Components of `words` of which worker `party` holds those of `known`: only the one that it lacks differs."""
    (lacking,) = set(range(3)) - set(components_of(party))
    components = list(known)
    components[lacking] = words - sum(known[held] for held in components_of(party))
    first, second, third = components
    return first, second, third


def _words(image: NDArray[np.floating]) -> Words:
    return fixed_point("ABY3").encode(image[np.newaxis], "input")
