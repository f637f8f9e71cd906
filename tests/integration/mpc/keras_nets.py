"""Makes real Keras models, saves them, and computes what plain Keras answers. Run as a process of its own:

    python keras_nets.py DIRECTORY

writes NAME.keras and NAME.npz (inputs ``x`` and plain Keras's answers ``y``) for each net of `NETS`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def residual(k: Any, n: Any) -> Any:
    """Two blocks, one with a 1x1 convolution beside it; then values merged in every way."""

    def block(x: Any, filters: int, strides: int) -> Any:
        y = n.BatchNormalization()(n.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x))
        y = n.BatchNormalization()(n.Conv2D(filters, 3, padding="same")(n.ReLU()(y)))
        skip = x if strides == 1 else n.BatchNormalization()(n.Conv2D(filters, 1, strides)(x))
        return n.ReLU()(n.Add()([y, skip]))

    inputs = k.Input((6, 6, 2))
    x = block(block(inputs, 2, 1), 3, 2)
    x = n.GlobalAveragePooling2D()(n.Concatenate()([x, x]))
    x = n.Average()([n.Maximum()([n.Dense(4)(x), n.Dense(4)(x)]), n.Dense(4)(x)])
    return k.Model(inputs, n.Softmax()(n.Subtract()([x, n.Dense(4)(x)])))


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
    "depthwise_and_separable": lambda k, n: [
        k.Input((8, 8, 3)),
        n.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False),
        n.BatchNormalization(),
        n.ReLU(max_value=6.0),
        n.SeparableConv2D(4, 3, dilation_rate=2),
        n.GlobalAveragePooling2D(),
        n.Dense(3, activation="softmax"),
    ],
    "largest_of_windows": lambda k, n: [
        k.Input((9, 9, 2)),
        n.MaxPooling2D(3, strides=2, padding="same"),
        n.Conv2D(3, 2),
        n.MaxPooling2D(2),
        n.Flatten(),
        n.Dense(2, activation="sigmoid"),
    ],
    "curves": lambda k, n: [
        k.Input((6,)),
        n.Dense(5, activation="sigmoid"),
        n.Dense(4, activation="tanh"),
        n.LeakyReLU(0.2),
        n.Dense(3),
    ],
    "series": lambda k, n: [
        k.Input((12, 2)),
        n.Conv1D(3, 3, padding="causal", dilation_rate=2, activation="relu"),
        n.AveragePooling1D(3, strides=2, padding="same"),
        n.UpSampling1D(2),
        n.Cropping1D(1),
        n.Permute((2, 1)),
        n.GlobalMaxPooling1D(),
    ],
    "normalised_alone": lambda k, n: [
        k.Input((5, 5, 2)),
        n.Rescaling(0.5, offset=-0.5),
        n.ReLU(),
        n.BatchNormalization(),
        n.Conv2D(2, 3, padding="same", groups=2),
        n.ZeroPadding2D(1),
        n.AveragePooling2D(2),
        n.ReLU(),
    ],
    "residual": residual,
}

BOUNDS = {"curves": 5e-3}
"""Largest difference from plain Keras, where it is not 1e-3."""


def main(directory: Path) -> None:
    """Write every net."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import numpy as np

    for seed, (name, layers) in enumerate(NETS.items()):
        keras.utils.set_random_seed(seed)
        made = layers(keras, keras.layers)
        model = keras.Sequential(made) if isinstance(made, list) else made
        rng = np.random.default_rng(seed)
        for variable in model.variables:
            if "seed_generator" not in variable.path:
                value = rng.normal(scale=0.3, size=variable.shape)
                variable.assign(0.5 + abs(value) if "variance" in variable.path else value)
        x = rng.uniform(-1, 1, (5, *model.input_shape[1:]))
        model.save(directory / f"{name}.keras")
        np.savez(directory / f"{name}.npz", x=x, y=model.predict(x, verbose=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
