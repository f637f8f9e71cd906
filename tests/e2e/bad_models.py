"""Model files that cannot be served, by the names that `bad_specs.yaml` gives them; and one that can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from tests.unit.sharing.keras_files import (
    array,
    hdf5,
    input_layer,
    keras_file,
    layer,
    sequential,
    small_file,
    small_groups,
)


def _weight(value: float) -> bytes:
    """A file with one weight of this value among ordinary ones."""
    groups = small_groups()
    kernel = array(3, 4)
    kernel[1, 2] = value
    groups["dense"] = ("logits", [kernel, array(4)])
    return small_file(groups=groups)


def _misshapen() -> bytes:
    return small_file(groups={**small_groups(), "dense": ("logits", [array(3, 5), array(4)])})


def _recurrent() -> bytes:
    return keras_file(sequential(input_layer(8, 1), layer("LSTM", "memory", units=2)), b"")


BAD_MODELS: Mapping[str, Callable[[], bytes]] = {
    "text": lambda: b"not a model, just a note",
    "weights": lambda: hdf5(small_groups()),
    "empty": lambda: b"",
    "truncated": lambda: small_file()[:2000],
    "recurrent": _recurrent,
    "misshapen": _misshapen,
    "huge": lambda: _weight(1e9),
    "large": lambda: _weight(1000.0),
    "not-a-number": lambda: _weight(np.nan),
}

GOOD_MODEL = cache(small_file)
"""The same bytes each time: an archive holds the time at which it was written."""
