"""The models people know: served in each protocol by real processes, they answer as plain Keras does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.zoo import ZOO, Model
from tests.integration.cluster import ROOT, Cluster
from tests.integration.compile_ahead import compile_ahead
from triveni.api.securemodel import Protocol
from triveni.client import Client
from triveni.mpc.compile.driver import PROTOCOLS

PICTURES = 4
"""Of each model, in one batch; `make bench-models` asks for all 200."""

TOLERANCE = 0.02
"""Of a logit; what was seen stands in docs/models.md."""

KERAS_S = 200

KERAS = """
import sys, json
import keras, numpy as np
for model, pictures, answers in json.loads(sys.argv[1]):
    images = np.load(pictures)["images"]
    np.save(answers, keras.saving.load_model(model, compile=False).predict(images, verbose=0))
"""

of_each_model = pytest.mark.parametrize("model", ZOO, ids=[model.name for model in ZOO])


@pytest.fixture(scope="module")
def compiled(request: pytest.FixtureRequest, programs: Path) -> Path:
    """The cache with the programs of the models; the workers' patience is for smaller ones."""
    wanted = {
        (item.callspec.params["protocol"], item.callspec.params["model"].path)
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and "compiled" in item.fixturenames
    }
    compile_ahead(programs, {protocol: sorted(path for p, path in wanted if p == protocol) for protocol in PROTOCOLS})
    return programs


@pytest.mark.parametrize("protocol", PROTOCOLS)
@of_each_model
def test_a_model_served_in_secret_answers_as_plain_keras(
    model: Model, protocol: Protocol, tmp_path: Path, compiled: Path
) -> None:
    images, expected = model.images()[:PICTURES], model.answers()[:PICTURES]
    with Cluster(tmp_path, compiled, protocol=protocol) as cluster:
        cluster.start()
        job = cluster.start_sharing("--protocol", protocol, model=model.path)()
        assert job.code == 0, job.log
        with Client(cluster.connection()) as client:
            answers = client.predict(images)
    assert np.abs(answers - expected).max() < TOLERANCE
    assert np.array_equal(answers.argmax(axis=1), expected.argmax(axis=1))


def test_the_stored_answers_are_those_of_the_real_keras(tmp_path: Path) -> None:
    asked = [(str(model.path), str(model.pictures), str(tmp_path / f"{model.name}.npy")) for model in ZOO]
    command = [sys.executable, "-c", KERAS, json.dumps(asked)]
    subprocess.run(command, check=True, timeout=KERAS_S, capture_output=True, cwd=ROOT)
    for model in ZOO:
        answers = np.load(tmp_path / f"{model.name}.npy")
        assert answers.shape == model.answers().shape
        # Another processor adds in another order.
        assert np.abs(answers - model.answers()).max() < 1e-4, model.name


@of_each_model
def test_a_model_is_right_on_most_pictures_that_it_never_saw(model: Model) -> None:
    right = model.answers().argmax(axis=1) == model.labels()
    assert len(right) == 200
    assert right.mean() >= 0.92
