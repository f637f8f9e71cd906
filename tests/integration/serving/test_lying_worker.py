"""A worker that alters its answer: in ABY3 the client notices, whichever it is and what it alters; in SecureNN not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import Cluster
from triveni.client import AnswersDisagree, Client
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.sharing import components_of

TOLERANCE = 1e-3

BIT = 40
"""The bit of a word that is flipped."""


class Liars:
    """A cluster of which each worker may be told to lie."""

    def __init__(self, directory: Path, programs: Path, protocol: str) -> None:
        worker = ("-m", "tests.integration.serving.lying_worker", str(directory / "lies-{party}"))
        self.cluster = Cluster(directory, programs, worker=worker, protocol=protocol)

    @contextmanager
    def lying(self, party: int, places: Sequence[int]) -> Iterator[None]:
        """Meanwhile this worker alters these of its components, by their places."""
        lies = self.cluster.directory / f"lies-{party}"
        lies.write_text(json.dumps(dict.fromkeys(map(str, places), BIT)))
        try:
            yield
        finally:
            lies.unlink()


def liars(directory: Path, programs: Path, protocol: str) -> Iterator[Liars]:
    liars = Liars(directory, programs, protocol)
    with liars.cluster as cluster:
        cluster.start()
        job = cluster.start_sharing("--protocol", protocol)()
        assert job.code == 0, job.log
        yield liars


@pytest.fixture(scope="module")
def aby3(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Liars]:
    yield from liars(tmp_path_factory.mktemp("aby3-liars"), programs, "ABY3")


@pytest.fixture(scope="module")
def securenn(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Liars]:
    yield from liars(tmp_path_factory.mktemp("securenn-liars"), programs, "SecureNN")


@pytest.mark.parametrize("party", range(3))
@pytest.mark.parametrize("places", [[0], [1]], ids=["first component", "second component"])
def test_in_aby3_an_altered_component_is_noticed_and_no_answer_is_given(
    aby3: Liars, digits: NDArray[np.float32], party: int, places: list[int]
) -> None:
    with Client(aby3.cluster.connection()) as client:
        honest = client.predict(digits[0])
        with aby3.lying(party, places), pytest.raises(AnswersDisagree) as caught:
            client.predict(digits[0])
        (component,) = [components_of(party)[place] for place in places]
        assert caught.value.components == (component,)
        assert caught.value.workers == tuple(p for p in range(3) if component in components_of(p))
        assert party in caught.value.workers
        assert np.abs(client.predict(digits[0]) - honest).max() < TOLERANCE


@pytest.mark.parametrize("party", range(3))
def test_in_aby3_a_worker_that_alters_both_its_components_is_named(
    aby3: Liars, digits: NDArray[np.float32], party: int
) -> None:
    with (
        Client(aby3.cluster.connection()) as client,
        aby3.lying(party, [0, 1]),
        pytest.raises(AnswersDisagree, match=f"worker {party} computed wrongly"),
    ):
        client.predict(digits[0])


@pytest.mark.parametrize("party", [0, 1])
def test_in_securenn_an_altered_answer_is_not_noticed(securenn: Liars, digits: NDArray[np.float32], party: int) -> None:
    """What docs/threat-model.md says of it: each component has one holder, so the client gets what the worker made."""
    with Client(securenn.cluster.connection()) as client:
        honest = client.predict(digits[0])
        with securenn.lying(party, [0]):
            off = np.abs(client.predict(digits[0]) - honest)
    assert off[0] == pytest.approx(2.0 ** (BIT - fixed_point("SecureNN").fractional_bits), abs=1.0)
    assert off[1:].max() < TOLERANCE
