"""Makes the model of `helm test`, model.keras, and what plain Keras says for three inputs, expected.json.

    python make.py

Nothing is trained: the weights are drawn from a seed. What is tested is the way of a prediction, not a model.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import keras
import numpy as np

HERE = Path(__file__).parent
ROWS = 3
TOLERANCE = 0.01
"""Fixed point is coarser than floating point; a wrong share is off by orders of magnitude more."""


def main() -> None:
    """Write both files."""
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)]
    model = keras.Sequential(layers, name="helm_test")
    model.save(HERE / "model.keras")
    inputs = np.random.default_rng(1).uniform(-1, 1, (ROWS, 4)).round(3)
    outputs = keras.ops.convert_to_numpy(model(inputs, training=False)).astype(np.float64).round(6)
    case = {"inputs": inputs.tolist(), "outputs": outputs.tolist(), "tolerance": TOLERANCE}
    (HERE / "expected.json").write_text(json.dumps(case, indent=2) + "\n")


if __name__ == "__main__":
    main()
