"""A cluster before it is started, and its turns."""

from __future__ import annotations

import doctest
import threading
from pathlib import Path

import pytest

from triveni.keras import NoConnection, NotStarted, Occupied, TFECluster, TFEWorker, cluster, worker
from triveni.keras.background import call
from triveni.keras.turn import Turn


def local(**options: Path) -> TFECluster:
    return TFECluster(*(TFEWorker(f"localhost:{port}") for port in (4000, 4001, 4002)), **options)


@pytest.mark.parametrize("number", [0, 2, 4])
def test_three_workers_or_an_error_that_says_how_many(number: int) -> None:
    with pytest.raises(ValueError, match=f"^Expected three workers but {number} were given$"):
        TFECluster(*(TFEWorker() for _ in range(number)))


def test_examples_in_docstrings_are_true() -> None:
    for module in (cluster, worker):
        results = doctest.testmod(module)
        assert results.attempted
        assert not results.failed


def test_nothing_is_served_before_the_start_and_stopping_is_harmless() -> None:
    with pytest.raises(NotStarted, match=r"cluster\.start\(\)"):
        local().require_free("share a model")
    local().stop()


def test_a_connection_file_is_found_by_the_hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert local().connection == local().connection
    assert local().connection != TFECluster(*reversed(local().workers)).connection
    assert local().connection is not None
    assert tmp_path in local().connection.parents  # type: ignore[union-attr]
    assert local(connection=tmp_path / "mine").connection == tmp_path / "mine"
    assert TFECluster(TFEWorker(), TFEWorker(), TFEWorker()).connection is None


def test_without_a_connection_file_a_client_is_told_which(tmp_path: Path) -> None:
    with pytest.raises(NoConnection, match="nowhere"), local(connection=tmp_path / "nowhere").reach(0.0):
        raise AssertionError


def test_one_turn_at_a_time_and_another_thread_ends_it() -> None:
    turn, taken = Turn(), threading.Event()

    def serve() -> None:
        with turn.take("serve") as stop:
            taken.set()
            call(stop.wait())

    thread = threading.Thread(target=serve)
    thread.start()
    assert taken.wait(10)
    with pytest.raises(Occupied), turn.take("serve"):
        raise AssertionError
    turn.end()
    assert not turn.taken
    thread.join(10)
    turn.end()
