"""Images to predict, from PNG, npy and npz files: float32, pictures as fractions of full brightness."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.cli.errors import bad_input

MAX_FILE_BYTES = 2**28

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Image:
    """One row to predict; `label` is what it shows, where the file says so."""

    name: str
    values: Values = field(repr=False)
    label: int | None = None


def read_images(paths: Sequence[Path], shape: tuple[int, ...] | None = None) -> list[Image]:
    """All images of some files, in order, each of `shape` (one row of the model's input) if that is given.

    Raises:
        CommandFailed: a file is missing, is no image, or does not fit the model.
    """
    return [
        image if shape is None else Image(image.name, _fitted(image, shape), image.label)
        for path in paths
        for image in _read(path, shape)
    ]


def _read(path: Path, shape: tuple[int, ...] | None) -> Iterator[Image]:
    if not path.is_file():
        raise bad_input(f"{path}: there is no such file; give PNG, npy or npz files")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise bad_input(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB; split it")
    match path.suffix.lower():
        case ".npy":
            yield from _rows(path, _load(path)[""], None, shape)
        case ".npz":
            yield from _archive(path, shape)
        case _:
            yield Image(path.name, _picture(path))


def _archive(path: Path, shape: tuple[int, ...] | None) -> Iterator[Image]:
    arrays = _load(path)
    name = next(iter(arrays)) if len(arrays) == 1 else "images"
    if name not in arrays:
        raise bad_input(f"{path}: holds {', '.join(arrays) or 'nothing'}; name the array of images 'images'")
    yield from _rows(path, arrays[name], arrays.get("labels"), shape)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name; that of an npy file, which has no name, as ''."""
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return {"": content}
            with content:
                return dict(content)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        raise bad_input(f"{path}: is not a numpy file of numbers; write it with numpy.save or numpy.savez") from None


def _rows(
    path: Path, array: NDArray[Any], labels: NDArray[Any] | None, shape: tuple[int, ...] | None
) -> Iterator[Image]:
    values = _values(path, array)
    single = values.ndim < 3 if shape is None else values.size == math.prod(shape)
    if single:
        yield Image(path.name, values)
        return
    numbers: list[int | None] = [None] * len(values)
    if labels is not None and np.shape(labels) == (len(values),):
        numbers = [int(label) for label in labels]
    for index, (row, label) in enumerate(zip(values, numbers, strict=True)):
        yield Image(f"{path.name}[{index}]", row, label)


def _values(path: Path, array: NDArray[Any]) -> Values:
    if array.dtype == np.uint8:
        return (array / 255).astype(np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        raise bad_input(f"{path}: holds {array.dtype}; save float32 values, or uint8 brightness from 0 to 255")
    return array.astype(np.float32)


def _picture(path: Path) -> Values:
    from PIL import Image as Picture
    from PIL import UnidentifiedImageError

    try:
        with Picture.open(path) as picture:
            colour = "RGB" if len(picture.getbands()) >= 3 or picture.mode == "P" else "L"
            return (np.asarray(picture.convert(colour)) / 255).astype(np.float32)
    except (UnidentifiedImageError, OSError, SyntaxError, Picture.DecompressionBombError):
        raise bad_input(f"{path}: is not an image; give PNG, npy or npz files") from None


def _fitted(image: Image, shape: tuple[int, ...]) -> Values:
    """The values in the model's shape: a dimension of 1 more or less is no difference, nor is grey stored as RGB."""
    values = image.values
    if values.ndim == 3 and values.shape[-1] == 3 and shape[-1] == 1 and values.shape[:2] == shape[:2]:
        values = values.mean(axis=-1, dtype=np.float32)
    if tuple(n for n in values.shape if n != 1) != tuple(n for n in shape if n != 1):
        raise bad_input(
            f"{image.name}: has the shape {_shape(values.shape)}, and the model takes {_shape(shape)}; resize it first"
        )
    if not np.isfinite(values).all():
        raise bad_input(f"{image.name}: holds NaN or infinity; predict finite values")
    return values.reshape(shape)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
