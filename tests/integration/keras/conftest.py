"""A notebook's cluster in the test's own process. Its model is like Keras's as far as Triveni looks: no TensorFlow."""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import MODEL
from triveni.keras import KerasHook, TFECluster, TFEWorker, create_client
from triveni.keras.worker import PEER_PORTS_ABOVE
from triveni.local.ports import HIGHEST, LOWEST, is_free

WAIT_S = 240.0
"""For anything; a first compilation takes most of it on a busy machine."""

Clusters = Callable[..., TFECluster]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that is written goes below the returned directory, but the cache, which is that of all tests."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(programs.parents[1]))
    return tmp_path


@pytest.fixture
def model() -> Any:
    """The example, hooked."""

    class Model:
        name, built = "mnist", True

        def save(self, path: Path) -> None:
            shutil.copy(MODEL, path)

    KerasHook(SimpleNamespace(Model=Model, __version__="3.12.0", __name__="keras"))
    return Model()


@pytest.fixture
def hosts() -> list[str]:
    """Three hosts of this machine whose ports are free, and those above them."""
    while True:
        base = random.randrange(LOWEST, HIGHEST - 2 * PEER_PORTS_ABOVE)
        ports = [base, base + 1, base + 2]
        if all(is_free(port) and is_free(port + PEER_PORTS_ABOVE) for port in ports):
            return [f"localhost:{port}" for port in ports]


@pytest.fixture
def clusters() -> Iterator[Clusters]:
    """Makes clusters at these hosts, and ends them with the test."""
    made: list[TFECluster] = []

    def cluster(hosts: list[str], **options: Any) -> TFECluster:
        made.append(TFECluster(*(TFEWorker(host, **options) for host in hosts)))
        return made[-1]

    yield cluster
    for one in made:
        one.stop()


class Asking:
    """A client in a thread of its own, which asks for each digit in turn."""

    def __init__(self, hosts: list[str], digits: NDArray[np.float32]) -> None:
        self.answers: list[NDArray[np.float64]] = []
        self._hosts, self._digits = hosts, digits
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        client = create_client((1, 28, 28, 1), (1, 10), TFECluster(*map(TFEWorker, self._hosts)), WAIT_S)
        try:
            for digit in self._digits:
                self.answers.append(client.query_model(digit[np.newaxis]))
        finally:
            client.close()

    def ended(self) -> NDArray[np.float64]:
        """All answers."""
        self._thread.join(WAIT_S)
        assert len(self.answers) == len(self._digits)
        return np.concatenate(self.answers)
