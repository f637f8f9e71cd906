"""What the models are trained and measured on: MNIST's digits as they are, and the same digits as colour pictures.

No colour data set that may be shipped was found in a package registry (README.md), so the colour pictures are made: a
digit in one colour on a paper that runs from one colour into another. The task stays the digit. Ink and paper may be
equally bright, so a network that sees brightness alone does not get far.
"""

import numpy as np

from examples.mnist import dataset
from examples.mnist.dataset import Digits

SIDE = 32
CONTRAST = 0.45  # least distance of the ink from both ends of the paper, in the unit cube of colours
SEED = 7  # colours of the pictures held apart
SHIPPED = 200


def load() -> tuple[Digits, Digits]:
    """(for training, held apart), grey, (n, 28, 28, 1): the same split as the MNIST example's."""
    return dataset.load()


def coloured(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Digits (n, 28, 28, 1) as pictures (n, 32, 32, 3): float32 in [0, 1], each value a multiple of 1/255."""
    count = len(images)
    ink, paper, far_paper = _colours(count, rng)
    alpha = np.zeros((count, SIDE, SIDE, 1))
    for picture, image, (top, left) in zip(alpha, images, rng.integers(0, SIDE - 28 + 1, (count, 2)), strict=True):
        picture[top : top + 28, left : left + 28] = image
    angle = rng.uniform(0, 2 * np.pi, (count, 1, 1, 1))
    across = (np.arange(SIDE) / (SIDE - 1) - 0.5).reshape(1, 1, SIDE, 1)
    along = across.reshape(1, SIDE, 1, 1)
    blend = np.clip(0.5 + np.cos(angle) * across + np.sin(angle) * along, 0, 1)
    ground = paper * (1 - blend) + far_paper * blend
    return (np.rint((ground * (1 - alpha) + ink * alpha) * 255) / 255).astype(np.float32)


def _colours(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ink and the two ends of the paper, each (count, 1, 1, 3); drawn again where they are too close to read."""
    colours = rng.uniform(0, 1, (3, count, 1, 1, 3))
    while (close := _distance(colours).min(axis=0) < CONTRAST).any():
        colours[:, close] = rng.uniform(0, 1, (3, close.sum(), 1, 1, 3))
    return colours[0], colours[1], colours[2]


def _distance(colours: np.ndarray) -> np.ndarray:
    """Of the ink from either end, and from the middle where the two ends meet: (3, count)."""
    ink, paper, far_paper = colours[..., 0, 0, :]
    return np.stack([np.linalg.norm(ink - ground, axis=-1) for ground in (paper, far_paper, (paper + far_paper) / 2)])
