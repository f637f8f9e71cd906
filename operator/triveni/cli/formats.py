"""The formats of inputs: npy, npz, csv, JSON, and pictures; told apart by a file's name, else by how it begins.

Nothing in a file is executed. Numbers in csv and JSON are the model's own inputs; bytes in a picture are brightness.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.cli.errors import bad_input

FORMATS = "PNG, npy, npz, csv or JSON"

LABEL = frozenset({"label", "class"})
"""Names of the csv column that says what a row shows."""

KEYS = ("instances", "inputs", "images")
"""Names under which a JSON object may hold its rows."""


@dataclass(frozen=True, slots=True)
class Content:
    """The numbers of one file; `labels` are one for each row, or none at all.

    Of a table the first axis is rows, however small the rest; a picture is one row; of others that has to be found out.
    """

    name: str
    array: NDArray[Any] = field(repr=False)
    labels: Sequence[str] = ()
    is_table: bool = False
    is_picture: bool = False


def parse(name: str, suffix: str, data: bytes) -> Content:
    """What a file holds; `suffix` is that of its name, in small letters, or empty.

    Raises:
        CommandFailed: it is not what its name says.
    """
    match suffix if suffix in (".npy", ".npz", ".csv", ".json") else _kind(data):
        case ".npy":
            return Content(name, _numpy(name, data)[""])
        case ".npz":
            return _archive(name, data)
        case ".csv":
            return _csv(name, data)
        case ".json":
            return _json(name, data)
        case _:
            return Content(name, _picture(name, data), is_picture=True)


def _kind(data: bytes) -> str:
    """By the first bytes."""
    if data.startswith(b"\x93NUMPY"):
        return ".npy"
    if data.startswith(b"PK\x03\x04"):
        return ".npz"
    start = data[:4096].lstrip()
    if start[:1] in (b"[", b"{"):
        return ".json"
    return ".csv" if start and b"\0" not in start and start.split(b"\n")[0].isascii() and b"," in start else ".png"


def _numpy(name: str, data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name; that of an npy file, which has no name, as ''."""
    try:
        content = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"": content}
        with content:
            return dict(content)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        raise bad_input(f"{name}: is not a numpy file of numbers; write it with numpy.save or numpy.savez") from None


def _archive(name: str, data: bytes) -> Content:
    arrays = _numpy(name, data)
    key = next(iter(arrays)) if len(arrays) == 1 else "images"
    if key not in arrays:
        raise bad_input(f"{name}: holds {', '.join(arrays) or 'nothing'}; name the array of images 'images'")
    labels = arrays.get("labels")
    known = labels is not None and labels.ndim == 1 and key == "images"
    return Content(name, arrays[key], [str(label) for label in labels] if known and labels is not None else ())


def _csv(name: str, data: bytes) -> Content:
    """Lines of numbers; the first may hold names, of which 'label' is no input."""
    try:
        lines = [line for line in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if line]
    except (UnicodeDecodeError, csv.Error):
        raise bad_input(f"{name}: is not csv in UTF-8; give lines of numbers with commas between them") from None
    if not lines:
        raise bad_input(f"{name}: is empty; give lines of numbers with commas between them")
    has_head = not all(map(_is_number, lines[0]))
    head, body = (lines[0], lines[1:]) if has_head else ([], lines)
    at = next((i for i, cell in enumerate(head) if cell.strip().lower() in LABEL), None)
    first = 2 if has_head else 1
    rows: list[list[float]] = []
    for number, line in enumerate(body, first):
        if len(line) != len(lines[0]):
            raise bad_input(f"{name}: line {number} has {len(line)} cells, the first has {len(lines[0])}; mend it")
        cells = [cell for i, cell in enumerate(line) if i != at]
        wrong = next((cell for cell in cells if not _is_number(cell)), None)
        if wrong is not None:
            raise bad_input(
                f"{name}: line {number} holds {wrong[:40]!r}; give numbers alone, or name the column 'label'"
            )
        rows.append([float(cell) for cell in cells])
    if not rows:
        raise bad_input(f"{name}: holds names and no rows; give lines of numbers below them")
    labels = [line[at].strip() for line in body] if at is not None else []
    return Content(name, np.array(rows), labels, is_table=True)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _json(name: str, data: bytes) -> Content:
    """A list of rows, or an object that holds one as 'instances' (and 'labels' beside it)."""
    way_out = "give a list of rows, or an object with the list as 'instances'"
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise bad_input(f"{name}: is not JSON; {way_out}") from None
    labels: Sequence[str] = ()
    if isinstance(document, dict):
        key = next((key for key in KEYS if key in document), None)
        if key is None:
            raise bad_input(f"{name}: holds {', '.join(map(repr, document)) or 'nothing'}; {way_out}")
        given = document.get("labels")
        labels = [str(label) for label in given] if isinstance(given, list) else ()
        document = document[key]
    try:
        array = np.array(document)
    except ValueError:
        raise bad_input(f"{name}: its rows are not all of one length; {way_out}") from None
    if not isinstance(document, list) or not array.size or array.dtype.kind not in "fiu":
        raise bad_input(f"{name}: is no list of numbers; {way_out}")
    return Content(name, array.astype(np.float64), labels, is_table=array.ndim > 1)


def _picture(name: str, data: bytes) -> NDArray[np.float32]:
    from PIL import Image as Picture
    from PIL import UnidentifiedImageError

    try:
        with Picture.open(io.BytesIO(data)) as picture:
            colour = "RGB" if len(picture.getbands()) >= 3 or picture.mode == "P" else "L"
            return (np.asarray(picture.convert(colour)) / 255).astype(np.float32)
    except (UnidentifiedImageError, OSError, SyntaxError, Picture.DecompressionBombError):
        raise bad_input(f"{name}: is not an image; give {FORMATS} files") from None
