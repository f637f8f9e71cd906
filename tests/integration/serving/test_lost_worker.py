"""A worker that is killed: the other two say so and end at once, and no client waits beyond its deadline."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import Cluster, wait_until
from triveni.client import Client, ClientError, DeadlineExceeded, WorkersUnreachable

NOTICED_S = 2.0

DEADLINE_S = 4.0
"""Of a client's call."""

CLIENTS = 4


def kill(cluster: Cluster, dead: int) -> None:
    """Kill a worker; the other two have to end in time, erased and with a report that says why."""
    killed = time.monotonic()
    cluster.workers[dead].signal(signal.SIGKILL)
    others = [worker for party, worker in cluster.workers.items() if party != dead]
    assert [worker.ended(20) for worker in others] == [1, 1]
    assert time.monotonic() - killed < NOTICED_S
    for worker in others:
        report = worker.report
        assert (report["reason"], report["erased"]) == ("PeerLost", True)
        assert report["message"].startswith("worker ")
        assert report["admitted"] >= report["answered"]
    assert not cluster.workers[dead].report_file.exists()


def within_deadline(call: Callable[[], object]) -> ClientError | None:
    """The typed error of a call, None if it was answered; it has to end in time."""
    began = time.monotonic()
    try:
        call()
    except ClientError as error:
        return error
    finally:
        assert time.monotonic() - began < DEADLINE_S + 1
    return None


def test_before_the_first_request(tmp_path: Path, programs: Path, digits: NDArray[np.float32]) -> None:
    with Cluster(tmp_path, programs, grant=10) as cluster:
        cluster.serve()
        kill(cluster, 1)
        for worker in (cluster.workers[0], cluster.workers[2]):
            assert worker.report["answered"] == 0
        with Client(cluster.connection(), deadline=DEADLINE_S) as client:
            error = within_deadline(lambda: client.predict(digits[0]))
        assert isinstance(error, WorkersUnreachable)
        assert str(error) == (
            "the workers did not serve within 4 s (worker 0: connection refused; worker 1: connection refused; "
            "worker 2: connection refused)"
        )


def test_after_a_request(
    tmp_path: Path, programs: Path, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    with Cluster(tmp_path, programs, grant=10) as cluster:
        cluster.serve()
        with Client(cluster.connection(), deadline=DEADLINE_S) as client:
            assert np.abs(client.predict(digits[:3]) - keras_logits[:3]).max() < 1e-3
            kill(cluster, 2)
            error = within_deadline(lambda: client.predict(digits[3]))
        assert isinstance(error, WorkersUnreachable)
        assert [cluster.workers[party].report["answered"] for party in (0, 1)] == [3, 3]


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_while_requests_are_in_flight(
    tmp_path: Path, programs: Path, digits: NDArray[np.float32], keras_logits: NDArray[np.float32], dead: int
) -> None:
    got = [0] * CLIENTS
    wrong: list[float] = []

    with Cluster(tmp_path, programs, grant=100_000) as cluster:
        cluster.serve()

        def ask_until_an_error(number: int) -> ClientError:
            with Client(cluster.connection(name=f"client-{number}"), deadline=DEADLINE_S) as client:
                while True:

                    def ask() -> None:
                        error = np.abs(client.predict(digits[number]) - keras_logits[number]).max()
                        wrong.extend([error] if error > 1e-3 else [])

                    error = within_deadline(ask)
                    if error is not None:
                        return error
                    got[number] += 1

        with ThreadPoolExecutor(CLIENTS) as threads:
            asking: list[Future[ClientError]] = [threads.submit(ask_until_an_error, n) for n in range(CLIENTS)]
            wait_until(lambda: min(got) >= 5)
            kill(cluster, dead)
            errors = [one.result(20) for one in asking]
        assert not wrong
        assert all(isinstance(error, WorkersUnreachable | DeadlineExceeded) for error in errors), errors
        reports = [worker.report for party, worker in cluster.workers.items() if party != dead]
        assert max(report["answered"] for report in reports) >= sum(got), "what was answered is charged"
        assert max(report["answered"] for report in reports) <= sum(got) + CLIENTS, "what was not answered is charged"
        assert threading.active_count() < 20
