"""A Keras 3 model file (``model.save('model.keras')``) read without Keras and without running anything in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from triveni.mpc.architecture import Architecture
from triveni.sharing.content import read_file
from triveni.sharing.keras_archive import unpack
from triveni.sharing.keras_layers import read_layers
from triveni.sharing.keras_weights import LayerWeights, read_weights


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
    """Read a ``.keras`` file of this machine.

    Args:
        path: the file.
        digest: ``sha256:`` and 64 hexadecimal digits that the file must have; None if any will do.

    Raises:
        SourceNotFound, SourceTooLarge: see `content.read_file`.
        DigestMismatch: it is another file.
        SharingFailure: see `parse_model`.
    """
    return parse_model(read_file(Path(path)).checked(digest), str(path))


def parse_model(content: bytes, source: str) -> KerasModel:
    """Read the bytes of a ``.keras`` file; `source` says in words where they are from, for messages.

    Raises:
        NotAKerasFile, TruncatedFile: see `keras_archive.unpack` and `keras_weights.read_weights`.
        UnsupportedLayer: see `keras_layers.read_layers`.
        ShapeMismatch, ValueOutOfRange: see `keras_weights.read_weights`.
    """
    archive = unpack(content, source)
    layers = read_layers(archive.config)
    weights = read_weights(archive.weights, layers.architecture, layers.groups, source)
    return KerasModel(layers.architecture, weights)
