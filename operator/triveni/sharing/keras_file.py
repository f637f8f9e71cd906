"""A model file of Keras, read without Keras and without running anything in it.

What it is its content says, never its name: a `.keras` file, an HDF5 file with a whole model, or a zip of the layers as
JSON and the weights as HDF5 (which a user may also give as two files).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from triveni.mpc.architecture import Architecture
from triveni.sharing import hdf5, keras_archive, keras_json
from triveni.sharing.content import read_file
from triveni.sharing.failures import NotAKerasFile, TruncatedFile
from triveni.sharing.foreign import recognise
from triveni.sharing.keras_archive import Archive
from triveni.sharing.keras_h5 import WEIGHTS_ONLY, read_config
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

    def answering(self, bits: int | None) -> KerasModel:
        """The same, of whose answers clients are given so many fractional bits; None: all."""
        return replace(self, architecture=replace(self.architecture, answer_bits=bits))


def read_model(path: Path | str, digest: str | None = None) -> KerasModel:
    """Read a model file of this machine.

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
    """Read the bytes of a model file; `source` says in words where they are from, for messages.

    Raises:
        NotAKerasFile, TruncatedFile: it is something else, or damaged.
        UnsupportedLayer: see `keras_layers.read_layers`.
        ShapeMismatch, ValueOutOfRange: see `keras_weights.read_weights`.
    """
    return _model(_parts(content, source), source)


def parse_pair(layers: bytes, weights: bytes, source: str, weights_source: str) -> KerasModel:
    """Read a model in two files: what ``model.to_json()`` and ``model.save_weights('model.weights.h5')`` gave.

    Raises:
        SharingFailure: as `parse_model`.
    """
    for content, start, where, what in (
        (layers, b"{", source, "the JSON of model.to_json()"),
        (weights, hdf5.START, weights_source, "HDF5, as model.save_weights('model.weights.h5') writes it"),
    ):
        if not content[:1024].lstrip().startswith(start):
            raise NotAKerasFile(where, f"it is not {what}", "Give --model the JSON and --weights the HDF5 file")
    if len(layers) > keras_json.MAX_BYTES:
        raise NotAKerasFile(source, f"it has more than {keras_json.MAX_BYTES} bytes")
    return _model(Archive(keras_json.read_object(layers, "it", source), weights), source)


def _parts(content: bytes, source: str) -> Archive:
    """The layers and the weights of whatever this is."""
    if not content:
        raise TruncatedFile(source, "it is empty")
    if content.startswith(keras_archive.START):
        return keras_archive.unpack(content, source)
    if content.startswith(hdf5.START):
        return Archive(read_config(content, source), content)
    if foreign := recognise(content):
        raise NotAKerasFile(source, f"it is {foreign.what}", foreign.way_out)
    if content[:1024].lstrip().startswith(b"{"):
        raise NotAKerasFile(source, "it is JSON: the layers of a model at most, without weights", WEIGHTS_ONLY)
    raise NotAKerasFile(source, "it is no zip archive and no HDF5 file")


def _model(parts: Archive, source: str) -> KerasModel:
    layers = read_layers(keras_json.as_keras_3(parts.config, source))
    weights = read_weights(parts.weights, layers.architecture, layers.groups, source)
    return KerasModel(layers.architecture, weights)
