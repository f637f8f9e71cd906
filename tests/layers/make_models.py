"""Makes models of every row of the table with the real Keras, and what it answers. Run as a process of its own:

    python -m tests.layers.make_models DIRECTORY EXAMPLES

writes NUMBER-EXAMPLE.keras and .npz (inputs ``x``, answers ``y``): of each row the given number of examples.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.layers.table import TABLE


def fill(model: Any, r: np.random.Generator) -> None:
    """Random weights of the sizes that trained models have; variances are positive."""
    for variable in model.variables:
        if "seed_generator" in variable.path:
            continue
        low, high = (0.5, 2.0) if "variance" in variable.path or "gamma" in variable.path else (-0.5, 0.5)
        variable.assign(r.uniform(low, high, variable.shape))


def main(directory: Path, examples: int) -> None:
    """Write every example."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    for number, row in enumerate(TABLE):
        for example in range(examples):
            r = np.random.default_rng([number, example])
            shape, call = row.make(keras.layers, r)
            inputs = keras.Input(shape)
            model = keras.Model(inputs, call(inputs))
            fill(model, r)
            x = r.uniform(-3, 3, (3, *shape)).astype(np.float32)
            model.save(directory / f"{number}-{example}.keras")
            np.savez(directory / f"{number}-{example}.npz", x=x, y=np.asarray(model(x, training=False)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
