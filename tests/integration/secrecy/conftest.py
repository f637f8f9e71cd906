"""All epochs that are served for these tests, each once for all of them. Honest ones in both protocols:

- `honest` serves the example, `other` the canary; their workers write down all that they receive;
- `held` serves the canary too, by workers that write nothing down, whose memory and packets are searched.

And one in ABY3, `spoiled`, whose masks are spoiled as the tests need it. Requests follow one another, one row each, so
request number n is run number n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import BareClient, parts_of, revealed
from tests.integration.secrecy import canary as canaries
from tests.integration.secrecy.canary import Canary
from tests.integration.secrecy.held import Held, hold
from tests.integration.secrecy.memory import require_the_right_to_read
from tests.integration.secrecy.recording import Mutation, Recording, recording_cluster
from tests.integration.secrecy.transcript import Run
from triveni.client import Client
from triveni.mpc.fixedpoint import FIXED_POINT, fixed_point
from triveni.mpc.sharing import components_of, split

FRESH_TIMES = 40
"""How often a digit is sent in the honest epoch, shared afresh each time; and noise; and the canary in the other."""

SAME_TIMES = 200
"""How often the very same shares are."""

SPOILED_TIMES = 20
"""How often the same request is sent in each part of the spoiled epoch."""

PAIRS = [[0, 1], [0, 2], [1, 2]]

Words = NDArray[np.int64]


@dataclass(frozen=True)
class Honest:
    """An epoch as it is. Its requests: `digit`, shared afresh each time; the same shares of it each time; `noise`."""

    protocol: str
    recording: Recording
    digit: NDArray[np.floating]
    noise: NDArray[np.floating]
    logits: Sequence[NDArray[np.floating]]

    def fresh_shares(self, party: int) -> list[Run]:
        return self.recording.runs(party)[:FRESH_TIMES]

    def same_shares(self, party: int) -> list[Run]:
        return self.recording.runs(party)[FRESH_TIMES : FRESH_TIMES + SAME_TIMES]

    def of_noise(self, party: int) -> list[Run]:
        return self.recording.runs(party)[FRESH_TIMES + SAME_TIMES :]


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


def noise_of(protocol: str) -> NDArray[np.floating]:
    """An input as far from a digit and from a blank image as the fixed point allows."""
    most = fixed_point(protocol).max_magnitude
    return np.random.default_rng(2).uniform(-most, most, (28, 28, 1))


@pytest.fixture(scope="session", params=FIXED_POINT)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def honest(
    tmp_path_factory: pytest.TempPathFactory, programs: Path, digits: NDArray[np.float32], protocol: str
) -> Honest:
    directory = tmp_path_factory.mktemp(f"honest-{protocol}")
    digit, noise = digits[0], noise_of(protocol)
    with recording_cluster(directory, programs, protocol=protocol) as cluster:
        cluster.serve()
        with Client(cluster.connection()) as client, BareClient(cluster) as bare:
            logits = [client.predict(digit) for _ in range(FRESH_TIMES)]
            shares = split(_words(digit, protocol), protocol)
            parts = [parts_of(f"same-{number:03}", shares, protocol) for number in range(SAME_TIMES)]
            logits += [revealed(bare.send(request), protocol) for request in parts]
            logits += [client.predict(noise) for _ in range(FRESH_TIMES)]
        cluster.terminate()
    return Honest(protocol, Recording(directory), digit, noise, logits)


@pytest.fixture(scope="session")
def canary_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return canaries.write_model(tmp_path_factory.mktemp("canary") / "model.keras")


@pytest.fixture(scope="session")
def canary(canary_model: Path) -> Canary:
    return Canary(canary_model)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, programs: Path, canary_model: Path, protocol: str) -> Recording:
    """The same architecture with other weights and another input."""
    directory = tmp_path_factory.mktemp(f"other-{protocol}")
    with recording_cluster(directory, programs, protocol=protocol) as cluster:
        cluster.serve(canary_model)
        with Client(cluster.connection()) as client:
            for _ in range(FRESH_TIMES):
                client.predict(canaries.IMAGE)
        cluster.terminate()
    return Recording(directory)


@pytest.fixture(scope="session")
def held(
    tmp_path_factory: pytest.TempPathFactory, programs: Path, canary_model: Path, canary: Canary, protocol: str
) -> Held:
    require_the_right_to_read()
    directory = tmp_path_factory.mktemp(f"held-{protocol}")
    with pytest.MonkeyPatch.context() as patch:
        return hold(directory, programs, canary_model, canary, protocol, patch)


@pytest.fixture(scope="session")
def spoiled(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Spoiled:
    directory, noise = tmp_path_factory.mktemp("spoiled"), noise_of("ABY3")
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


def _spoiled_requests(noise: NDArray[np.floating]) -> list[tuple[Words, ...]]:
    blank = np.zeros_like(noise)
    requests = [split(_words(noise, "ABY3"))] * SPOILED_TIMES
    for party in range(3):
        known = split(_words(noise, "ABY3"))
        for image in (blank, noise, blank, noise):
            requests += [_with_fixed_shares(_words(image, "ABY3"), known, party)] * SPOILED_TIMES
    words = _words(noise, "ABY3")
    return [*requests, (words, np.zeros_like(words), np.zeros_like(words))]


def _with_fixed_shares(words: Words, known: tuple[Words, ...], party: int) -> tuple[Words, ...]:
    """Components of `words` of which worker `party` holds those of `known`: only the one that it lacks differs."""
    (lacking,) = set(range(3)) - set(components_of(party))
    components = list(known)
    components[lacking] = words - sum(known[held] for held in components_of(party))
    return tuple(components)


def _words(image: NDArray[np.floating], protocol: str) -> Words:
    return fixed_point(protocol).encode(image[np.newaxis], "input")
