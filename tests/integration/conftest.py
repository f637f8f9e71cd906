"""What several tiers of integration tests share: compiled programs, the example's digits, plain Keras's answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import MODEL, ROOT


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of compiled programs of all integration tests: every net is compiled once.

    It lies where `triveni run` looks for it if XDG_CACHE_HOME is two folders up.
    """
    directory = tmp_path_factory.mktemp("cache") / "triveni" / "programs"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture(scope="session")
def digits() -> NDArray[np.float32]:
    """The digits that the example was not trained on, shape (200, 28, 28, 1)."""
    with np.load(ROOT / "examples" / "mnist" / "digits.npz") as file:
        return np.array(file["images"])


KERAS = """
import sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1], compile=False)
np.save(sys.argv[3], keras.ops.convert_to_numpy(model(np.load(sys.argv[2]), training=False)))
"""


@pytest.fixture(scope="session")
def keras_logits(digits: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    """What the real Keras answers to `digits`, shape (200, 10)."""
    directory = tmp_path_factory.mktemp("keras")
    images, answers = directory / "images.npy", directory / "answers.npy"
    np.save(images, digits)
    command = [sys.executable, "-c", KERAS, str(MODEL), str(images), str(answers)]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    return np.array(np.load(answers))
