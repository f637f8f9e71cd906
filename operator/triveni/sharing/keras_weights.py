"""The weights of a Keras model: HDF5 read from memory (see `hdf5`), checked against the architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from triveni.mpc.architecture import Architecture
from triveni.sharing.failures import NotAKerasFile, ShapeMismatch, ValueOutOfRange
from triveni.sharing.hdf5 import is_plain, opened
from triveni.sharing.keras_variables import variables

LayerWeights = Mapping[str, tuple[NDArray[np.floating[Any]], ...]]

MAX_WEIGHTS = 2**26
"""Most weights of a model, so that shares of them fit into the memory of a worker."""


def read_weights(data: bytes, architecture: Architecture, groups: Mapping[str, str], source: str) -> LayerWeights:
    """The weights of each layer that has any, in Keras's order (kernel, bias; of a BatchNormalization four).

    Args:
        data: the bytes of an HDF5 file.
        groups: for each layer with weights, its group in a file of Keras 3.
        source: of the model file, in words for messages.

    Raises:
        NotAKerasFile, TruncatedFile: it cannot be read, or asks for more than plain datasets.
        ShapeMismatch: a variable is missing, superfluous, of another shape, or not floating point.
        ValueOutOfRange: a weight is NaN or infinite.
    """
    _check_size(architecture, source)
    with opened(data, source) as file:
        found = variables(file, groups, source)
        weights = {}
        for layer, before, _ in architecture.walk():
            if shapes := layer.weight_shapes(before):
                datasets = zip(found.of(layer.name, list(shapes)), shapes.items(), strict=True)
                weights[layer.name] = tuple(
                    _values(dataset, layer.name, name, shape, source) for dataset, (name, shape) in datasets
                )
        return weights


def _check_size(architecture: Architecture, source: str) -> None:
    count = sum(
        math.prod(shape) for layer, before, _ in architecture.walk() for shape in layer.weight_shapes(before).values()
    )
    if count > MAX_WEIGHTS:
        raise NotAKerasFile(source, f"it has {count} weights, at most {MAX_WEIGHTS} are served")


def _values(
    dataset: h5py.Dataset, layer: str, name: str, shape: tuple[int, ...], source: str
) -> NDArray[np.floating[Any]]:
    if dataset.shape != shape:
        raise ShapeMismatch(layer, name, _text(dataset.shape), _text(shape))
    if dataset.dtype.kind != "f":
        raise ShapeMismatch(layer, name, f"of type {dataset.dtype}", "floating point")
    if not is_plain(dataset):
        raise NotAKerasFile(source, f"the weights of layer '{layer}' are not stored in it in a plain way")
    values: NDArray[np.floating[Any]] = dataset[()]
    finite = np.isfinite(values)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        problem = "is NaN" if np.isnan(values[index]) else "is infinite"
        raise ValueOutOfRange(f"{layer}/{name}{list(index)}", problem)
    return values


def _text(shape: tuple[int, ...] | None) -> str:
    return "empty" if shape is None else f"of shape {shape}"
