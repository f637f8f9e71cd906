"""A model served on a real cluster from a notebook: it never enters the cluster, and a client's notebook asks it."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.e2e.cluster.places import PROJECT
from tests.e2e.securemodels import DIGITS, Models, plain_answers
from triveni.cli.inputs import read_rows
from triveni.keras import KerasHook, TFECluster, create_client
from triveni.keras.kubernetes import KubernetesCluster

WITHIN_S = 300.0

SHAPES = (1, 28, 28, 1), (1, 10)


@pytest.fixture
def model() -> Any:
    """The example, as a notebook has it, but for Keras."""

    class Model:
        name, built = "mnist", True

        def save(self, path: Path) -> None:
            shutil.copy(PROJECT / "examples/mnist/model.keras", path)

    KerasHook(SimpleNamespace(Model=Model, __version__="3.12.0", __name__="keras"))
    return Model()


def cluster_of(models: Models) -> KubernetesCluster:
    namespace = models.kubectl.namespace
    assert namespace is not None
    return TFECluster.kubernetes(namespace, "mnist", kubeconfig=models.kubectl.kubeconfig)


def ask(models: Models, number: int) -> np.ndarray[Any, Any]:
    """What a client in another notebook is answered, for the first digits."""
    images = [np.asarray(image.values).reshape(SHAPES[0]) for image in read_rows(DIGITS[:number], (28, 28, 1))]
    client = create_client(*SHAPES, cluster_of(models), timeout=WITHIN_S)
    try:
        return np.concatenate([client.query_model(image) for image in images])
    finally:
        client.close()


def test_a_notebook_serves_a_model_that_is_nowhere_in_the_cluster_and_shares_it_again_after_a_lost_worker(
    models: Models, model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of(models)
    cluster.start()
    model.share(cluster)
    serving = threading.Thread(target=model.serve, args=(5,))
    serving.start()
    assert np.abs(ask(models, 3) - plain_answers()).max() < 1e-3
    assert not models.kubectl.exists("jobs")

    models.kubectl("delete", "pod", "mnist-e1-worker-1", "--grace-period=0", "--force")
    models.until_ready(epoch=2)
    ask(models, 2)
    serving.join(WITHIN_S)
    assert not serving.is_alive()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Served")] == [
        f"Served encrypted prediction {number} to client." for number in (1, 2, 3, 4, 5)
    ]
    models.until_gone()

    serving = threading.Thread(target=model.serve)
    serving.start()
    models.until_ready(epoch=3)  # before, a client is told that the quota of the last call is reached
    ask(models, 1)
    model.stop()
    serving.join(WITHIN_S)
    models.until("Ready", "False", "Suspended")
    cluster.stop()
    models.until_gone()
