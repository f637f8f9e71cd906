"""The hook on the real Keras, in a process of its own: what its models give is what is shared."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras
import tensorflow as tf
import triveni.keras as sy
from triveni.keras.model import read_live

sy.KerasHook(tf.keras)
sy.KerasHook(keras)

def layers(shape):
    yield keras.Input(**shape)
    yield keras.layers.Conv2D(3, 3)
    yield keras.layers.AveragePooling2D(2)
    yield keras.layers.Activation("relu")
    yield keras.layers.Flatten()
    yield keras.layers.Dense(2, name="logit")

sequential = tf.keras.Sequential(list(layers({"batch_shape": (1, 8, 8, 1)})))
first, *rest = layers({"shape": (8, 8, 1)})
x = first
for layer in rest:
    x = layer(x)
functional = keras.Model(first, x)
functional.compile(loss="mse", optimizer="adam")
functional.fit(np.zeros((4, 8, 8, 1)), np.ones((4, 2)), verbose=0)

read = []
for model in (sequential, functional):
    assert all(hasattr(model, method) for method in ("share", "serve", "stop", "shutdown_workers"))
    read.append(read_live(model))
    kernel = model.get_layer("logit").kernel.numpy()
    found = [array for arrays in read[-1].weights.values() for array in arrays if array.shape == kernel.shape]
    assert len(found) == 1 and np.array_equal(found[0], kernel)
assert read[0].architecture.output_shape == read[1].architecture.output_shape == (2,)

unbuilt = keras.Sequential([keras.layers.Dense(2)])
try:
    read_live(unbuilt)
except sy.NotBuilt:
    print("all as it should be")
"""


def test_sequential_functional_and_trained_models_are_read_as_they_live() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout == "all as it should be\n", done.stdout + done.stderr
