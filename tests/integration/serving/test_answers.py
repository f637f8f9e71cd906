"""What clients get: the answers of plain Keras, each its own, counted exactly."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import Cluster
from triveni.client import Client, QuotaReached, WorkersUnreachable

CLIENTS, REQUESTS = 16, 500

TOLERANCE = 1e-3


def test_two_hundred_unseen_digits_are_answered_as_by_plain_keras(
    served: Cluster, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    with Client(served.connection()) as client:
        logits = client.predict(digits)
    assert logits.shape == (200, 10)
    assert np.array_equal(logits.argmax(1), keras_logits.argmax(1))
    assert np.abs(logits - keras_logits).max() < TOLERANCE


def test_sixteen_clients_at_once_each_get_their_own_answers_and_every_row_is_counted_once(
    served: Cluster, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    random = np.random.default_rng(3)
    asked = [random.integers(0, len(digits), random.integers(1, 4)) for _ in range(REQUESTS)]
    before = [served.status(party) for party in range(3)]
    together = threading.Barrier(CLIENTS)

    def ask(number: int) -> list[float]:
        """The errors of this client's answers."""
        with Client(served.connection(name=f"client-{number}")) as client:
            client.describe()
            together.wait()
            return [float(np.abs(client.predict(digits[i]) - keras_logits[i]).max()) for i in asked[number::CLIENTS]]

    with ThreadPoolExecutor(CLIENTS) as threads:
        errors = [error for of_client in threads.map(ask, range(CLIENTS)) for error in of_client]
    assert len(errors) == REQUESTS
    assert max(errors) < TOLERANCE
    rows = sum(map(len, asked))
    for party in range(3):
        after = served.status(party)
        assert after["admitted"] - before[party]["admitted"] == rows
        assert after["answered"] - before[party]["answered"] == rows
        assert after["requests_waiting"] == 0
        assert after["runs"] - before[party]["runs"] < REQUESTS, "requests that wait run together"


def test_the_quota_is_reached_exactly_and_everything_ends(
    tmp_path: Path, programs: Path, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    with Cluster(tmp_path, programs, grant=7, drain_s=3.0) as cluster:
        cluster.serve()
        with Client(cluster.connection()) as client:
            for first in (0, 3):
                rows = slice(first, first + 3)
                assert np.abs(client.predict(digits[rows]) - keras_logits[rows]).max() < TOLERANCE
            with pytest.raises(QuotaReached, match=r"^request quota reached$"):
                client.predict(digits[6:9])
            assert np.abs(client.predict(digits[6]) - keras_logits[6]).max() < TOLERANCE
            with pytest.raises(QuotaReached, match=r"^request quota reached$"):
                client.predict(digits[7])
            assert cluster.ended() == [0, 0, 0]
            with pytest.raises(WorkersUnreachable, match=r"^the workers did not serve within 0\.5 s \(worker 0: "):
                client.predict(digits[8], deadline=0.5)
        for party, worker in cluster.workers.items():
            told = {key: worker.report[key] for key in ("party", "admitted", "answered", "erased", "reason", "message")}
            assert told == {
                "party": party,
                "admitted": 7,
                "answered": 7,
                "erased": True,
                "reason": "QuotaReached",
                "message": "all 7 granted requests were answered",
            }
            assert worker.report["receipt"]["bytes_erased"] > 0
