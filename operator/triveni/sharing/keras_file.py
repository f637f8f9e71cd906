"""A Keras 3 model file (``model.save('model.keras')``) read without Keras and without running anything in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from triveni.mpc.architecture import Architecture
from triveni.sharing.failures import DigestMismatch, NotAKerasFile, SourceNotFound
from triveni.sharing.keras_archive import unpack
from triveni.sharing.keras_layers import read_layers
from triveni.sharing.keras_weights import LayerWeights, read_weights

MAX_FILE_BYTES = 2**31
"""Largest model file that is read into memory."""


@dataclass(frozen=True)
class KerasModel:
    """A model in two parts: what is public, and what is not.

    Attributes:
        architecture: layers and shapes.
        weights: for each layer with weights its arrays in Keras's order (kernel, bias), as stored.
    """

    architecture: Architecture
    weights: LayerWeights = field(repr=False)


def read_model(path: Path | str, digest: str | None = None) -> KerasModel:
    """Read a ``.keras`` file.

    Args:
        path: the file.
        digest: ``sha256:`` and 64 hexadecimal digits that the file must have; None if any will do.

    Raises:
        SourceNotFound: there is no such file, or it cannot be read.
        NotAKerasFile, TruncatedFile: see `keras_archive.unpack` and `keras_weights.read_weights`.
        DigestMismatch: it is another file.
        UnsupportedLayer: see `keras_layers.read_layers`.
        ShapeMismatch, ValueOutOfRange: see `keras_weights.read_weights`.
    """
    shown = str(path)
    content = _content(Path(path))
    if digest is not None:
        got = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if got != digest.lower():
            raise DigestMismatch(shown, got, digest)
    archive = unpack(content, shown)
    layers = read_layers(archive.config)
    weights = read_weights(archive.weights, layers.architecture, layers.groups, shown)
    return KerasModel(layers.architecture, weights)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceNotFound(str(path), error.strerror or type(error).__name__) from error
    if len(content) > MAX_FILE_BYTES:
        raise NotAKerasFile(str(path), f"it is larger than {MAX_FILE_BYTES} bytes")
    return content
