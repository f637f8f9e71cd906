"""What several tiers of integration tests share: compiled programs, the example's digits, plain Keras's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import ROOT
from tests.integration.plain_keras import keras_answers


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


@pytest.fixture(scope="session")
def keras_logits(digits: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    """What the real Keras answers to `digits`, shape (200, 10)."""
    return keras_answers(digits, tmp_path_factory.mktemp("keras"))
