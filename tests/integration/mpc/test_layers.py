"""Every layer of the table against the real Keras: files that it wrote, read and lowered, over many shapes and options.

The steps are computed in floating point from weights that are rounded as the workers get them; that the protocol
computes these steps is in test_compile, on fewer models, since compiling takes seconds.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.layers.table import BITS, TABLE, Row
from tests.unit.mpc.steps_in_floats import by_steps
from triveni.mpc.answer import finished
from triveni.mpc.lowering import lower
from triveni.sharing.keras_file import read_model

EXAMPLES = 4
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("layers")
    command = [sys.executable, "-m", "tests.layers.make_models", directory, str(EXAMPLES)]
    subprocess.run(command, check=True, timeout=400, capture_output=True, cwd=ROOT)
    return directory


@pytest.mark.parametrize("example", range(EXAMPLES))
@pytest.mark.parametrize(("number", "row"), list(enumerate(TABLE)), ids=[row.name[:40] for row in TABLE])
def test_a_layer_differs_from_plain_keras_by_no_more_than_the_table_says(
    models: Path, number: int, row: Row, example: int
) -> None:
    model = read_model(models / f"{number}-{example}.keras")
    network = lower(model.architecture)
    data = np.load(models / f"{number}-{example}.npz")
    last = model.architecture.clients_layer
    for bits, bound in zip(BITS, row.bounds, strict=True):
        weights = {name: np.rint(w * 2**bits) / 2**bits for name, w in network.encode(model.weights).items()}
        got = finished(by_steps(network, weights, data["x"].astype(np.float64)), last.kind if last else None)
        assert got.shape == data["y"].shape
        assert np.abs(got - data["y"]).max() <= bound
    if row.depth is not None:
        assert network.depth == row.depth
