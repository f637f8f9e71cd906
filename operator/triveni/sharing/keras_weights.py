"""The weights of a Keras 3 file: HDF5 read from memory, checked against the architecture.

HDF5 is a file system in a file: it can refer to other files and ask for decompression plug-ins. Neither is followed;
only plain datasets of the expected shape are read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from triveni.mpc.architecture import Architecture
from triveni.sharing.failures import NotAKerasFile, ShapeMismatch, TruncatedFile, ValueOutOfRange

LayerWeights = Mapping[str, tuple[NDArray[np.floating[Any]], ...]]

MAX_WEIGHTS = 2**26
"""Most weights of a model, so that shares of them fit into the memory of a worker."""

_KNOWN_FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})


def read_weights(data: bytes, architecture: Architecture, groups: Mapping[str, str], source: str) -> LayerWeights:
    """The weights of each layer that has any, in Keras's order (kernel, bias; of a BatchNormalization four).

    Args:
        data: the bytes of model.weights.h5.
        groups: for each layer with weights, its group in the file.
        source: of the model file, in words for messages.

    Raises:
        NotAKerasFile, TruncatedFile: it cannot be read, or asks for more than plain datasets.
        ShapeMismatch: a variable is missing, superfluous, of another shape, or not floating point.
        ValueOutOfRange: a weight is NaN or infinite.
    """
    _check_size(architecture, source)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return {
                layer.name: _layer(file, layer.name, groups[layer.name], shapes, source)
                for layer, before, _ in architecture.walk()
                if (shapes := layer.weight_shapes(before))
            }
    except OSError as error:
        # libhdf5's texts may be long and hold addresses; what matters is which of the two it is.
        if "truncated" in str(error):
            raise TruncatedFile(source, "its weights end too early") from error
        raise NotAKerasFile(source, "its weights are no readable HDF5 file") from error
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise NotAKerasFile(source, "the HDF5 file of its weights is damaged") from error


def _check_size(architecture: Architecture, source: str) -> None:
    count = sum(
        math.prod(shape) for layer, before, _ in architecture.walk() for shape in layer.weight_shapes(before).values()
    )
    if count > MAX_WEIGHTS:
        raise NotAKerasFile(source, f"it has {count} weights, at most {MAX_WEIGHTS} are served")


def _layer(
    file: h5py.File, layer: str, group_path: str, shapes: Mapping[str, tuple[int, ...]], source: str
) -> tuple[NDArray[np.floating[Any]], ...]:
    variables = _descend(file, f"{group_path}/vars", layer, source)
    label = variables.attrs.get("name")
    if label is not None and label != layer.rpartition("/")[2]:
        raise ShapeMismatch(layer, f"the group {group_path}", f"labelled {label!r:.60}", repr(layer))
    if len(variables) != len(shapes):
        raise ShapeMismatch(
            layer, "the number of its variables", str(len(variables)), f"{len(shapes)} ({', '.join(shapes)})"
        )
    return tuple(
        _variable(variables, str(position), layer, name, shape, source)
        for position, (name, shape) in enumerate(shapes.items())
    )


def _descend(group: h5py.Group, group_path: str, layer: str, source: str) -> h5py.Group:
    """Follow hard links only: a soft or external one could lead into another file."""
    for step in group_path.split("/"):
        if group.get(step, getclass=True, getlink=True) is not h5py.HardLink:
            raise ShapeMismatch(layer, "its weights", "missing", f"a group {group_path}")
        group = group[step]
        if not isinstance(group, h5py.Group):
            raise NotAKerasFile(source, f"{group_path} is no group in the HDF5 file of its weights")
    return group


def _variable(
    group: h5py.Group, key: str, layer: str, name: str, shape: tuple[int, ...], source: str
) -> NDArray[np.floating[Any]]:
    dataset = group[key] if group.get(key, getclass=True, getlink=True) is h5py.HardLink else None
    if not isinstance(dataset, h5py.Dataset):
        raise ShapeMismatch(layer, name, "missing", _text(shape))
    if dataset.shape != shape:
        raise ShapeMismatch(layer, name, _text(dataset.shape), _text(shape))
    if dataset.dtype.kind != "f":
        raise ShapeMismatch(layer, name, f"of type {dataset.dtype}", "floating point")
    creation = dataset.id.get_create_plist()
    filters = {creation.get_filter(number)[0] for number in range(creation.get_nfilters())}
    if dataset.is_virtual or dataset.external or not filters <= _KNOWN_FILTERS:
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
