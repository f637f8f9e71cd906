"""What is measured: the MNIST example, its digits, and the answers that plain floating point gives for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from triveni.mpc.architecture import Architecture, AveragePooling2D, Conv2D, Dense, Flatten, Relu
from triveni.sharing.keras_file import KerasModel, read_model

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "examples" / "mnist.yaml"
MODEL = ROOT / "examples" / "mnist" / "model.keras"
DIGITS = ROOT / "examples" / "mnist" / "digits.npz"
PICTURE = ROOT / "examples" / "mnist" / "digits" / "00-9.png"

TOLERANCE = 1e-2
"""How far a secret logit may be from the plain one before the answer is called wrong; the target is far below."""


@dataclass(eq=False)
class WrongAnswer(Exception):
    """A prediction that is not the plain one: whatever was measured with it means nothing."""

    row: int
    difference: float

    def __str__(self) -> str:
        return f"the answer for digit {self.row} differs from the plain one by up to {self.difference:.2g}"


@dataclass(frozen=True)
class Example:
    """Digits (n, 28, 28, 1) and their plain logits (n, 10)."""

    architecture: Architecture
    images: Floats
    logits: Floats

    @classmethod
    def read(cls) -> Example:
        """The example as it is in the repository."""
        model = read_model(MODEL)
        with np.load(DIGITS) as file:
            images = file["images"].astype(np.float64)
        return cls(model.architecture, images, plain(model, images))

    def rows(self, first: int, count: int) -> list[int]:
        """`count` digits from number `first` on, around the end."""
        return [(first + row) % len(self.images) for row in range(count)]

    def require(self, rows: list[int], answers: Floats) -> float:
        """The largest difference of a logit; WrongAnswer if `answers` are not those of these digits."""
        expected = self.logits[rows]
        differences = np.abs(answers - expected).max(axis=1)
        wrong = (answers.argmax(axis=1) != expected.argmax(axis=1)) | (differences > TOLERANCE)
        if wrong.any():
            first = int(wrong.argmax())
            raise WrongAnswer(rows[first], float(differences[first]))
        return float(differences.max())


def plain(model: KerasModel, images: Floats) -> Floats:
    """What the model answers in floating point, for the layers that the example has."""
    x = images
    for layer, _, after in model.architecture.walk():
        weights = [np.asarray(w, np.float64) for w in model.weights.get(layer.name, ())]
        if isinstance(layer, Conv2D) and layer.padding == "valid":
            windows = _windows(x, layer.kernel_size, layer.strides)
            x = np.einsum("nhwcij,ijco->nhwo", windows, weights[0], optimize=True) + sum(weights[1:])
        elif isinstance(layer, AveragePooling2D):
            x = _windows(x, layer.pool_size, layer.strides).mean(axis=(-2, -1))
        elif isinstance(layer, Dense):
            x = x @ weights[0] + sum(weights[1:])
        elif isinstance(layer, Relu):
            x = np.maximum(x, 0)
        elif isinstance(layer, Flatten):
            x = x.reshape(len(x), *after)
        else:
            raise NotImplementedError(f"the example has no {type(layer).__name__}")
    return x


def _windows(x: Floats, size: tuple[int, int], strides: tuple[int, int]) -> Floats:
    """(n, height, width, channels, *size)."""
    windows = sliding_window_view(x, size, axis=(1, 2))
    result: Floats = windows[:, :: strides[0], :: strides[1]]
    return result
