"""Writes what a Keras writes: ``python write.py``, run by hand in an environment with the Keras in question.

The result, `keras-VERSION.zip` beside this file, holds the same models in every format that this Keras knows, and
their weights as numpy arrays, so that the tests read files that were really written by it, without having it.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import numpy as np

if "--tensorflow" in sys.argv:  # the Keras 2 inside TensorFlow
    from tensorflow import keras
else:
    import keras

layers = keras.layers
version = importlib.metadata.version("keras")


def chain():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2, 3, activation="relu", name="first"),
            layers.AveragePooling2D(2),
            layers.Conv2D(3, 2, padding="same", use_bias=False, name="second"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, name="logits"),
        ]
    )


def graph():
    image = keras.Input((6, 6, 2))
    left = layers.Conv2D(2, 3, padding="same", name="left")(image)
    left = layers.BatchNormalization(name="normal")(left)
    both = layers.Activation("relu")(layers.Add(name="sum")([image, left]))
    deep = layers.DepthwiseConv2D(3, name="deep")(both)
    return keras.Model(image, layers.Dense(3, name="logits")(layers.Flatten()(deep)))


def nested():
    image = keras.Input((6,))
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, name="one"), layers.Dense(4, name="two")], name="inner"
    )
    return keras.Model(image, layers.Dense(3, name="one")(inner(image)))


def main() -> None:
    np.random.seed(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, model in (("chain", chain()), ("graph", graph()), ("nested", nested())):
            model.set_weights([np.random.rand(*array.shape).astype("float32") for array in model.get_weights()])
            Path(f"{name}.json").write_text(model.to_json())
            model.save(f"{name}.h5")
            model.save_weights(f"{name}.weights.h5")
            if version >= "2.13":
                model.save(f"{name}.keras")
            if version < "3":
                model.save_weights(f"{name}.old-weights.h5")
            arrays = {f"{layer.name}/{n}": a for layer in model.layers for n, a in enumerate(layer.get_weights())}
            if name == "nested":
                inner = model.get_layer("inner").layers
                arrays = {key: a for key, a in arrays.items() if not key.startswith("inner/")}
                arrays |= {f"inner/{layer.name}/{n}": a for layer in inner for n, a in enumerate(layer.get_weights())}
            np.savez(f"{name}.npz", **arrays)
        target = Path(__file__).with_name(f"keras-{version}.zip")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(Path().iterdir()):
                archive.write(file)


main()
