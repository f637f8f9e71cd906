"""Trains the tutorial's network on real digits and writes what the example ships: a model, 200 digits, 36 pictures."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported, or it is too late

from pathlib import Path

import dataset
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

HERE = Path(__file__).parent
SEED = 1
# Found with 1,000 of the digits for training as a validation set; README.md says what else was measured.
EPOCHS = 40
BATCH = 64
LEARNING_RATE = 6e-3
SHIPPED = 200  # digits for the tests
PICTURES = 36  # the first of them, also as PNG


def network() -> keras.Sequential:
    """The tutorial's network; pooling comes before ReLU, so that a quarter of the values is compared in secret."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(10, (3, 3)),
            layers.AveragePooling2D((2, 2)),
            layers.Activation("relu"),
            layers.Conv2D(32, (3, 3)),
            layers.AveragePooling2D((2, 2)),
            layers.Activation("relu"),
            layers.Conv2D(64, (3, 3)),
            layers.AveragePooling2D((2, 2)),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dense(10, name="logit"),
        ],
        name="mnist",
    )


def train(model: keras.Sequential, data: dataset.Digits) -> None:
    """Fits the model. A wrapper carries augmentation and optimizer, so that the model itself stays inference only."""
    distort = [
        keras.layers.RandomTranslation(0.04, 0.04, fill_mode="constant", seed=SEED),
        keras.layers.RandomRotation(0.02, fill_mode="constant", seed=SEED + 1),
        keras.layers.RandomZoom(0.05, fill_mode="constant", seed=SEED + 2),
    ]
    trainer = keras.Sequential([*distort, model])
    steps = EPOCHS * -(-len(data.images) // BATCH)
    trainer.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    trainer.fit(data.images, data.labels, batch_size=BATCH, epochs=EPOCHS, verbose=2)


def ship(apart: dataset.Digits) -> None:
    """Writes the digits that tests and demonstration use; png / 255 is exactly the image in the npz."""
    images, labels = apart.images[:SHIPPED], apart.labels[:SHIPPED]
    np.savez_compressed(HERE / "digits.npz", images=images, labels=labels)
    folder = HERE / "digits"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    for i, (image, label) in enumerate(zip(images[:PICTURES], labels[:PICTURES], strict=True)):
        pixels = np.rint(image[:, :, 0] * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}-{label}.png", optimize=True)


def main() -> None:
    """Trains, measures on the digits held apart, writes."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    data, apart = dataset.load()
    model = network()
    train(model, data)
    right = model.predict(apart.images, verbose=0).argmax(axis=1) == apart.labels
    model.save(HERE / "model.keras")
    ship(apart)
    print(f"right: {right.mean():.1%} of {len(right)} digits held apart, {right[:SHIPPED].mean():.1%} of those shipped")


if __name__ == "__main__":
    main()
