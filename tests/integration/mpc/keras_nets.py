"""Makes real Keras models, saves them, and computes what plain Keras answers. Run as a process of its own:

    python keras_nets.py DIRECTORY

writes NAME.keras and NAME.npz (inputs ``x`` and plain Keras's answers ``y``) for each net of `NETS`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

NETS: dict[str, Any] = {
    "linear": lambda k, n: [k.Input((3,)), n.Dense(2)],
    "mlp": lambda k, n: [k.Input((20,)), n.Dense(16, activation="relu"), n.Dense(4)],
    "mlp_three_layers_and_relu_last": lambda k, n: [
        k.Input((6,)),
        n.Dense(8, activation="relu"),
        n.Dense(8),
        n.ReLU(),
        n.Dense(3, activation="relu"),
    ],
    "two_linear_layers": lambda k, n: [k.Input((5,)), n.Dense(7), n.Dense(3, use_bias=False)],
    "relu_alone": lambda k, n: [k.Input((4, 3)), n.Activation("relu"), n.Flatten(), n.Dense(2)],
    "conv_same": lambda k, n: [
        k.Input((7, 6, 2)),
        n.Conv2D(3, 3, padding="same", activation="relu"),
        n.Flatten(),
        n.Dense(3),
    ],
    "conv_strided_same": lambda k, n: [k.Input((9, 9, 2)), n.Conv2D(5, (3, 2), strides=2, padding="same"), n.ReLU()],
    "conv_1x1_without_bias": lambda k, n: [k.Input((4, 4, 3)), n.Conv2D(2, 1, use_bias=False), n.Flatten()],
    "conv_pool_overlapping": lambda k, n: [
        k.Input((10, 10, 1)),
        n.Conv2D(4, 3),
        n.AveragePooling2D(3, strides=1),
        n.ReLU(),
        n.Flatten(),
        n.Dense(2),
    ],
    "pool_first": lambda k, n: [k.Input((8, 8, 2)), n.AveragePooling2D(2), n.Conv2D(3, 2), n.ReLU()],
    "pool_after_relu": lambda k, n: [
        k.Input((8, 8, 1)),
        n.Conv2D(3, 3, activation="relu"),
        n.AveragePooling2D(2),
        n.Flatten(),
        n.Dense(4),
    ],
    "global_pool": lambda k, n: [
        k.Input((8, 8, 3)),
        n.Conv2D(4, 3, padding="same", activation="relu"),
        n.GlobalAveragePooling2D(),
        n.Dense(3),
    ],
    "reshape_and_dropout": lambda k, n: [
        k.Input((16,)),
        n.Dense(16, activation="relu"),
        n.Dropout(0.5),
        n.Reshape((4, 4, 1)),
        n.Conv2D(2, 2, strides=2),
        n.Flatten(),
    ],
}


def main(directory: Path) -> None:
    """Write every net."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import numpy as np

    for seed, (name, layers) in enumerate(NETS.items()):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(layers(keras, keras.layers))
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
        x = rng.uniform(-1, 1, (5, *model.input_shape[1:]))
        model.save(directory / f"{name}.keras")
        np.savez(directory / f"{name}.npz", x=x, y=model.predict(x, verbose=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
