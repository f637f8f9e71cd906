"""The models people know, as they lie in examples/: their pictures, and what plain Keras answers for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.example import ROOT
from triveni.api.manifest import Manifest
from triveni.api.securemodel import API_VERSION, KIND, Protocol, SecureModel

Floats = NDArray[np.float64]

MNIST = ROOT / "examples" / "mnist"
MODELS = ROOT / "examples" / "models"
ANSWERS = MODELS / "answers.npz"


@dataclass(frozen=True)
class Model:
    """A trained model and the pictures that it is measured on, which its training never saw."""

    name: str
    title: str
    path: Path
    pictures: Path

    def images(self) -> Floats:
        """(n, height, width, channels), in [0, 1]."""
        return np.asarray(self._pictures("images"), np.float64)

    def labels(self) -> NDArray[np.int64]:
        """The digit on each picture, (n,)."""
        return np.asarray(self._pictures("labels"), np.int64)

    def answers(self) -> Floats:
        """The logits that plain Keras gives for them, (n, 10)."""
        with np.load(ANSWERS) as file:
            return np.asarray(file[self.name], np.float64)

    def manifest(self, protocol: Protocol) -> Manifest:
        """What `triveni run` would read to serve it."""
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self.name},
            "spec": {"model": {"source": {"file": {"path": self.path.name}}}, "protocol": protocol},
        }
        return Manifest(self.path, SecureModel.read(document), self.path)

    def _pictures(self, key: str) -> NDArray[np.generic]:
        with np.load(self.pictures) as file:
            return np.array(file[key])


ZOO = (
    Model("mlp", "MLP", MODELS / "mlp.keras", MNIST / "digits.npz"),
    Model("cnn", "the tutorial's CNN", MNIST / "model.keras", MNIST / "digits.npz"),
    Model("lenet5", "LeNet-5", MODELS / "lenet5.keras", MNIST / "digits.npz"),
    Model("mobilenet", "MobileNet, small", MODELS / "mobilenet.keras", MODELS / "pictures.npz"),
    Model("resnet", "ResNet-8", MODELS / "resnet.keras", MODELS / "pictures.npz"),
)
