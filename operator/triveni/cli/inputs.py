"""Rows to predict: read from files or standard input (see `formats`), then put into the shape that the model takes."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.cli.errors import bad_input
from triveni.cli.formats import FORMATS, Content, parse

MAX_FILE_BYTES = 2**28

STDIN = "-"

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Row:
    """One row to predict; `label` is what it shows, where the file says so."""

    name: str
    values: Values = field(repr=False)
    label: str | None = None


def read_rows(paths: Sequence[Path], shape: tuple[int, ...] | None = None) -> list[Row]:
    """All rows of some files, in order: `load` and `rows_of`."""
    return rows_of(load(paths), shape)


def load(paths: Sequence[Path]) -> list[Content]:
    """The contents of some files, of which one may be '-', standard input.

    Raises:
        CommandFailed: a file is missing, too large, or none of numbers.
    """
    if [str(path) for path in paths].count(STDIN) > 1:
        raise bad_input("-: standard input can be read once; name it once")
    return [parse(*_read(path)) for path in paths]


def rows_of(contents: Iterable[Content], shape: tuple[int, ...] | None = None) -> list[Row]:
    """The rows of what was loaded, each of `shape` (one row of the model's input) if that is given.

    Raises:
        CommandFailed: something does not fit the model.
    """
    found = [row for content in contents for row in _rows(content, shape)]
    return found if shape is None else [replace(row, values=_fitted(row, shape)) for row in found]


def _read(path: Path) -> tuple[str, str, bytes]:
    """Name for messages, suffix and content."""
    if str(path) == STDIN:
        data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        name, suffix = "stdin", ""
    elif not path.is_file():
        raise bad_input(f"{path}: there is no such file; give {FORMATS} files")
    else:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        name, suffix = str(path), path.suffix.lower()
    if len(data) > MAX_FILE_BYTES:
        raise bad_input(f"{name}: larger than {MAX_FILE_BYTES >> 20} MiB; split it")
    return name, suffix, data


def _rows(content: Content, shape: tuple[int, ...] | None) -> Iterator[Row]:
    values = _values(content, shape)
    name = Path(content.name).name
    few = values.ndim < 3 if shape is None else values.size == math.prod(shape)
    single = content.is_picture or (few and not (content.is_table and shape is None))
    if single or not values.ndim:
        yield Row(name, values, content.labels[0] if len(content.labels) == 1 else None)
        return
    known = len(content.labels) == len(values)
    for index, row in enumerate(values):
        yield Row(f"{name}[{index}]", row, content.labels[index] if known else None)


def _values(content: Content, shape: tuple[int, ...] | None) -> Values:
    """As floating point: bytes of a picture are brightness; whole numbers in a table are what they are."""
    array = content.array
    picture = not content.is_table and (shape is None or len(shape) > 1)
    if array.dtype == np.uint8 and picture:
        return (array / 255).astype(np.float32)
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array) or (picture and array.dtype.kind in "iu"):
        raise bad_input(f"{content.name}: holds {array.dtype}; save float32 values, or uint8 brightness from 0 to 255")
    return array.astype(np.float32)


def _fitted(row: Row, shape: tuple[int, ...]) -> Values:
    """The values in the model's shape.

    A dimension of 1 more or less is no difference, nor is grey stored as RGB, nor a flat list of the right length.
    """
    values: NDArray[Any] = row.values
    if (
        values.ndim == 3
        and len(shape) == 3
        and (values.shape[-1], shape[-1]) == (3, 1)
        and values.shape[:2] == shape[:2]
    ):
        values = values.mean(axis=-1, dtype=np.float32)
    sizes = tuple(n for n in values.shape if n != 1)
    flat = len(sizes) == 1 and values.size == math.prod(shape)
    if not flat and sizes != tuple(n for n in shape if n != 1):
        way_out = "resize it first" if len(shape) > 1 else f"give rows of {math.prod(shape)} numbers"
        raise bad_input(
            f"{row.name}: has the shape {_shape(values.shape)}, and the model takes {_shape(shape)}; {way_out}"
        )
    if not np.isfinite(values).all():
        raise bad_input(f"{row.name}: holds NaN or infinity; predict finite values")
    return values.reshape(shape)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
