"""Where the variables of a layer are in an HDF5 file, in each of the ways in which a Keras lays them out.

- Keras 3, and Keras 2.13 to 2.15 where they write `.weights.h5`: one group for each layer, named by its class and
  numbered, and in it the variables as `vars/0`, `vars/1`, ... (Keras 2.12 numbers them in a way of its own.)
- HDF5 files of old, which Keras 3 can still write: one group for each layer, named by the layer, and below it, however
  deep, the variables by their own names (`kernel:0`, `bias:0`), behind that of the layer in a model inside the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import h5py

from triveni.sharing.failures import NotAKerasFile, ShapeMismatch
from triveni.sharing.hdf5 import member, subgroup, text

WHOLE_MODEL = "model_weights"
"""The group of an HDF5 file with a whole model in which the weights are."""

NUMBERED = "layers"
"""The group in which the layers' numbered variables are."""

OTHER_NAMES: Mapping[str, frozenset[str]] = {"kernel": frozenset({"depthwise_kernel"})}
"""What Keras 2 calls a variable that has another name here."""

_MAX_MEMBERS = 1024
"""Groups and datasets below a layer's group, which may be that of a model of many layers."""

_MAX_LABEL = 4096


class Variables(Protocol):
    """Finds the variables of a layer in one file."""

    def of(self, layer: str, names: Sequence[str]) -> Sequence[h5py.Dataset]:
        """Those of a layer, in the order of `names`.

        Raises:
            ShapeMismatch: one is missing, or there are others.
        """


def variables(file: h5py.File, groups: Mapping[str, str], source: str) -> Variables:
    """The way in which this file is laid out.

    Args:
        groups: for each layer with weights, the group in which Keras 3 puts it.
        source: of the file, in words for messages.

    Raises:
        NotAKerasFile: it holds no weights of a Keras model.
    """
    if (whole := subgroup(file, [WHOLE_MODEL])) is not None:
        return Named(whole)
    if h5py.h5a.exists(file.id, b"layer_names"):
        return Named(file)
    if subgroup(file, [NUMBERED]) is not None:
        return Numbered(file, groups)
    raise NotAKerasFile(source, "its HDF5 content holds no weights of a Keras model")


def has_weights(file: h5py.File) -> bool:
    """Whether there are any that `variables` may find."""
    if h5py.h5a.exists(file.id, b"layer_names"):
        return True
    return any(subgroup(file, [name]) is not None for name in (WHOLE_MODEL, NUMBERED))


@dataclass(frozen=True)
class Numbered:
    """One group for each layer, named by class and number."""

    root: h5py.Group
    groups: Mapping[str, str]

    def of(self, layer: str, names: Sequence[str]) -> Sequence[h5py.Dataset]:
        """See `Variables`."""
        path = self.groups[layer]
        group = subgroup(self.root, [*path.split("/"), "vars"])
        if group is None:
            raise ShapeMismatch(layer, "its weights", "missing", f"a group {path}/vars")
        label = text(group, "name", _MAX_LABEL)
        if label is not None and label != layer.rpartition("/")[2]:
            raise ShapeMismatch(layer, f"the group {group.name}", f"labelled {label!r:.60}", repr(layer))
        if len(group) != len(names):
            raise _number(layer, len(group), names)
        return [_dataset(group, str(position), layer, name) for position, name in enumerate(names)]


@dataclass(frozen=True)
class Named:
    """One group for each layer of the outermost model, with the layer's name; a model inside it is one layer."""

    root: h5py.Group

    def of(self, layer: str, names: Sequence[str]) -> Sequence[h5py.Dataset]:
        """See `Variables`."""
        outermost, *inner = layer.split("/")
        group = subgroup(self.root, [outermost])
        if group is None:
            raise ShapeMismatch(layer, "its weights", "missing", f"a group {outermost}")
        below = [
            (path, dataset)
            for path, dataset in _datasets(group, layer)
            if path[:-1][-len(inner) :] == inner or not inner
        ]
        found = {path[-1].partition(":")[0]: dataset for path, dataset in below}
        if len(below) != len(names):
            raise _number(layer, len(below), names)
        return [_named(found, layer, name) for name in names]


def _datasets(group: h5py.Group, layer: str) -> Iterator[tuple[list[str], h5py.Dataset]]:
    """All below a group, with their names from there."""
    left: list[tuple[list[str], h5py.Group]] = [([], group)]
    seen = 0
    while left:
        path, group = left.pop()
        for name in group:
            seen += 1
            if seen > _MAX_MEMBERS:  # a group may hold itself, many times over
                raise ShapeMismatch(layer, "its weights", "in more groups than Keras makes", "its variables")
            found = member(group, name)
            if isinstance(found, h5py.Group):
                left.append(([*path, name], found))
            elif isinstance(found, h5py.Dataset):
                yield [*path, name], found


def _named(found: Mapping[str, h5py.Dataset], layer: str, name: str) -> h5py.Dataset:
    for known in (name, *OTHER_NAMES.get(name, ())):
        if known in found:
            return found[known]
    raise ShapeMismatch(layer, name, "missing", f"a variable of this name, beside {', '.join(found)[:60]}")


def _dataset(group: h5py.Group, key: str, layer: str, name: str) -> h5py.Dataset:
    dataset = member(group, key)
    if not isinstance(dataset, h5py.Dataset):
        raise ShapeMismatch(layer, name, "missing", f"a dataset {group.name}/{key}")
    return dataset


def _number(layer: str, got: int, names: Sequence[str]) -> ShapeMismatch:
    return ShapeMismatch(layer, "the number of its variables", str(got), f"{len(names)} ({', '.join(names)})")
