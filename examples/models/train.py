"""Trains the models and writes all that is shipped: ``python -m examples.models.train [NAME ...]``, in the root.

It writes the models named, or all; the colour pictures; and the answers of plain Keras that secret ones are compared
with.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported, or it is too late

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from examples.mnist.dataset import Digits
from examples.models import data, networks

HERE = Path(__file__).parent
MNIST = HERE.parent / "mnist"
SEED = 1
BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; `colour` says which pictures it sees."""

    network: Callable[[], keras.Model]
    colour: bool
    epochs: int
    learning_rate: float


RECIPES = {
    "mlp": Recipe(networks.mlp, colour=False, epochs=30, learning_rate=2e-3),
    "lenet5": Recipe(networks.lenet5, colour=False, epochs=15, learning_rate=3e-3),
    "resnet": Recipe(networks.resnet, colour=True, epochs=12, learning_rate=5e-3),
    "mobilenet": Recipe(networks.mobilenet, colour=True, epochs=15, learning_rate=5e-3),
}


def train(recipe: Recipe, digits: Digits) -> keras.Model:
    """A trained model, for inference only. Colours are drawn anew in each epoch; grey digits are shifted a little."""
    keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = recipe.network()
    steps = recipe.epochs * -(-len(digits.images) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for _ in range(recipe.epochs):
        images = data.coloured(digits.images, rng) if recipe.colour else _shifted(digits.images, rng)
        model.fit(images, digits.labels, batch_size=BATCH, verbose=2)
    return model


def _shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each digit moved by up to two pixels in each direction; what leaves one edge, black, comes in at the other."""
    moves = rng.integers(-2, 3, (len(images), 2))
    return np.stack([np.roll(image, tuple(move), (0, 1)) for image, move in zip(images, moves, strict=True)])


def shipped(name: str) -> np.ndarray:
    """The 200 pictures that a model is measured on, as they are shipped."""
    path = MNIST / "digits.npz" if name == "cnn" or not RECIPES[name].colour else HERE / "pictures.npz"
    with np.load(path) as file:
        return np.array(file["images"])


def answers() -> dict[str, np.ndarray]:
    """Plain Keras's logits (200, 10) of each model, the MNIST example's (`cnn`) among them."""
    paths = {"cnn": MNIST / "model.keras"} | {name: HERE / f"{name}.keras" for name in RECIPES}
    return {
        name: keras.saving.load_model(path, compile=False).predict(shipped(name), verbose=0)
        for name, path in paths.items()
        if path.exists()
    }


def main() -> None:
    """Trains, measures on what is held apart, writes."""
    parser = argparse.ArgumentParser("examples.models.train", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(RECIPES)}; all if none is named")
    names = parser.parse_args().names or list(RECIPES)
    tf.config.experimental.enable_op_determinism()
    digits, apart = data.load()
    pictures = Digits(data.coloured(apart.images, np.random.default_rng(data.SEED)), apart.labels)
    np.savez_compressed(
        HERE / "pictures.npz", images=pictures.images[: data.SHIPPED], labels=pictures.labels[: data.SHIPPED]
    )
    for name in names:
        recipe = RECIPES[name]
        began = time.process_time()
        model = train(recipe, digits)
        seconds = time.process_time() - began
        test = pictures if recipe.colour else apart
        right = model.predict(test.images, verbose=0).argmax(axis=1) == test.labels
        path = HERE / f"{name}.keras"
        model.compile()  # the optimizer's state would double the file and is no part of the model
        keras.saving.save_model(model, path)
        print(
            f"{name}: {model.count_params()} parameters, {path.stat().st_size / 1000:.0f} kB, "
            f"right {right.mean():.1%} of {len(right)} held apart, {right[: data.SHIPPED].mean():.1%} of those "
            f"shipped, {seconds:.0f} s of processor time"
        )
    np.savez_compressed(HERE / "answers.npz", **answers())


if __name__ == "__main__":
    main()
