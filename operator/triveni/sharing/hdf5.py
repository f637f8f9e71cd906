"""HDF5 read from memory, without trusting anything in it.

HDF5 is a file system in a file: it can link to other files, keep values in them, ask for decompression plug-ins, claim
shapes of petabytes and unpack a few bytes to gigabytes. Keras uses none of that. So what is read here are groups by
hard links, single texts, and datasets whose values stand in the file as they are; nothing is followed, unpacked or
allocated that the size of the file does not already bound.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from triveni.sharing.failures import NotAKerasFile, TruncatedFile

START = b"\x89HDF\r\n\x1a\n"

Floats = NDArray[np.floating[Any]]

_MAX_ITEM_BYTES = 8

_PLAIN_LAYOUTS = frozenset({h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT})


@contextmanager
def opened(data: bytes, source: str) -> Iterator[h5py.File]:
    """The root of the file in `data`; `source` says in words where it is from, for messages.

    Raises:
        TruncatedFile: it ends too early.
        NotAKerasFile: it cannot be read, here or in the body of the `with`.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file
    except OSError as error:
        # libhdf5's texts may be long and hold addresses; what matters is which of the two it is.
        if "truncated" in str(error):
            raise TruncatedFile(source, "its HDF5 content ends too early") from error
        raise NotAKerasFile(source, "its HDF5 content cannot be read") from error
    except (RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, MemoryError) as error:
        raise NotAKerasFile(source, "its HDF5 content is damaged") from error


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """What hangs in a group by a hard link; a soft or external one could lead into another file, and is None."""
    if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
        return None
    found = group[name]
    return found if isinstance(found, h5py.Group | h5py.Dataset) else None


def subgroup(group: h5py.Group, path: Sequence[str]) -> h5py.Group | None:
    """The group at the end of a path of hard links; None if there is none."""
    for step in path:
        found = member(group, step)
        if not isinstance(found, h5py.Group):
            return None
        group = found
    return group


def text(group: h5py.Group, name: str, limit: int) -> str | None:
    """An attribute that is one text of at most `limit` bytes; None if there is none, or it is something else.

    Of several texts each may point to the same megabytes, so only one is read.
    """
    if not h5py.h5a.exists(group.id, name.encode()):
        return None
    attribute = h5py.h5a.open(group.id, name.encode())
    kind = attribute.get_type()
    if attribute.shape != () or not isinstance(kind, h5py.h5t.TypeStringID):
        return None
    if not kind.is_variable_str() and kind.get_size() > limit:
        return None
    value = group.attrs[name]
    encoded = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    return encoded.decode("utf-8", "replace") if len(encoded) <= limit else None


def is_plain(dataset: h5py.Dataset) -> bool:
    """Whether the values of a dataset stand in this file, all of them, as they are."""
    creation = dataset.id.get_create_plist()
    return (
        not dataset.is_virtual
        and not dataset.external
        and creation.get_nfilters() == 0
        and creation.get_layout() in _PLAIN_LAYOUTS
        and dataset.dtype.itemsize <= _MAX_ITEM_BYTES
        and dataset.id.get_storage_size() == dataset.size * dataset.dtype.itemsize
    )
