"""`triveni top` and `triveni bench`: a running model, watched and measured; and how far its workers are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.unit.cli.cli import beside, triveni
from tests.unit.cli.test_status import connection_file
from tests.unit.client.cluster.fake_api import NAMESPACE, FakeApi, fake_api
from tests.unit.client.three_workers import INPUT_SHAPE, NAME, Workers, refuse, three_workers
from triveni.api.inference import Reason
from triveni.cli.bench import Measured, result
from triveni.cli.top import Sample, lines, measured
from triveni.client.live import Live, WorkerStatus


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with three_workers() as three:
        yield three


@pytest.fixture
def connection(workers: Workers, tmp_path: Path) -> Path:
    return connection_file(tmp_path, workers)


@pytest.fixture
async def api(workers: Workers) -> AsyncIterator[FakeApi]:
    async with fake_api() as server:
        server.serve(workers)
        yield server


async def test_each_row_is_asked_for_and_measured(workers: Workers, connection: Path) -> None:
    told = await beside("bench", "--requests", 6, "--rows", 2, "--concurrency", 3, "--json", "--connection", connection)
    assert told.code == 0
    assert told.err == "6 requests of 2 rows: 12 are charged to its request quota\n"
    document = json.loads(told.out)
    assert {key: document[key] for key in ("name", "protocol", "epoch", "requests", "rows", "concurrency")} == {
        "name": NAME,
        "protocol": "ABY3",
        "epoch": 1,
        "requests": 6,
        "rows": 2,
        "concurrency": 3,
    }
    assert list(document["latency_ms"]) == ["min", "mean", "p50", "p95", "p99", "max"]
    assert len(workers.parties[0].seen) == 6


async def test_a_model_in_a_cluster_is_measured_by_its_name(api: FakeApi, tmp_path: Path) -> None:
    kubeconfig = api.kubeconfig(tmp_path / "config")
    told = await beside("bench", NAME, "-n", NAMESPACE, "--requests", 2, "--kubeconfig", kubeconfig)
    assert told.code == 0
    assert told.out.splitlines()[0] == f"{NAME}, ABY3, epoch 1: 2 requests of 1 row, 1 at a time"


async def test_the_rows_of_a_file_in_turn(workers: Workers, connection: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, *INPUT_SHAPE)))
    told = await beside("bench", "--requests", 3, "--data", tmp_path / "a.npy", "--connection", connection)
    assert (told.code, len(workers.parties[0].seen)) == (0, 3)


def test_without_a_number_nothing_is_asked() -> None:
    told = triveni("bench", "--connection", "none.json")
    assert told.code == 2
    assert told.err == ("triveni: --requests: how many? Each row is charged to the model's request quota, so say it\n")


async def test_a_quota_that_is_reached_meanwhile(workers: Workers, connection: Path) -> None:
    for worker in workers.parties:
        worker.misdeeds.append(lambda *_: _go_on())
        worker.misdeeds.append(refuse(Reason.QUOTA_REACHED, "request quota reached"))
    told = await beside("bench", "--requests", 5, "--connection", connection)
    assert told.code == 4
    assert "1 requests of 1 row," in told.out
    assert told.err.endswith("triveni: request quota reached (1 of 5 requests answered)\n")


async def _go_on() -> None:
    return None


def test_latencies_are_percentiles() -> None:
    document = result({"name": "m"}, 2, 1, Measured([0.001 * n for n in range(1, 101)], 2.0))
    assert document["latency_ms"] == {"min": 1, "mean": 50.5, "p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert document["rows_per_s"] == 100


async def test_a_look_at_a_running_model(connection: Path) -> None:
    assert (await beside("bench", "--requests", 2, "--connection", connection)).code == 0
    told = await beside("top", "--once", "--connection", connection)
    assert (told.code, told.err) == (0, "")
    assert told.out == (
        "mnist: epoch 1\n"
        "  quota      100 granted, 98 left; 2 answered, 0 waiting\n"
        "  latency    p50 2.5 ms, p90 3.0 ms, p99 4.2 ms (engine)\n"
        "  WORKER   STATE     ADMITTED   ANSWERED   RUNS   ROUNDS   SENT\n"
        "  0        Serving   2          2          2      74       0.5 MB\n"
        "  1        Serving   2          2          2      74       0.5 MB\n"
        "  2        Serving   2          2          2      74       0.5 MB\n"
    )
    document = json.loads((await beside("top", "--once", "--json", "--connection", connection)).out)
    assert (document["answered"], document["left"], document["rows_per_s"]) == (2, 98, None)


def test_the_rate_is_that_of_one_epoch() -> None:
    def sample(at: float, epoch: int, answered: int) -> Sample:
        return Sample(at, [WorkerStatus(p, state="Serving", epoch=epoch, answered=answered) for p in range(3)])

    assert measured("m", sample(1.0, 1, 10), sample(3.0, 1, 20))["rows_per_s"] == 5
    assert measured("m", sample(1.0, 1, 10), sample(3.0, 2, 0))["rows_per_s"] is None


def test_workers_that_do_not_answer_are_shown_as_such() -> None:
    found = measured("m", None, Sample(0.0, [WorkerStatus(p, "connection refused") for p in range(3)]))
    assert (found["epoch"], found["left"]) == (None, None)
    text = [line.plain for line in lines(found)]
    assert text[0] == "m: no worker answers"
    assert text[-1] == "  2        connection refused"


async def test_which_model_has_to_be_said() -> None:
    told = await beside("top", "--once")
    assert told.code == 2
    said = "which model? Give the name of a SecureModel, as in triveni top NAME, or --connection FILE"
    assert told.err == f"triveni: {said}\n"


async def test_a_name_and_a_connection_file_are_one_too_many(connection: Path) -> None:
    told = await beside("top", NAME, "--connection", connection)
    assert (told.code, "drop one of them" in told.err) == (2, True)


async def test_the_round_trip_is_measured_on_open_connections(workers: Workers) -> None:
    async with Live(workers.connection) as live:
        trips = await live.round_trip(3)
    assert len(trips) == 3
    assert all(0 < trip < 5 for trip in trips)
