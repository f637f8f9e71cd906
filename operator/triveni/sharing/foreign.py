"""Names for files that are no model file of Keras, told from their first bytes, each with the way out.

Nobody is helped by 'unknown format' who gave the SavedModel of the same model, or the web page around the download.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from triveni.sharing.failures import NotAKerasFile

SAVE_WHOLE = NotAKerasFile.way_out

ANOTHER_LIBRARY = "Build the model in Keras, load the weights into it, and write model.save('model.keras')"

UNPACK = "Unpack it and give the model file in it"


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a file is, in words that follow 'it is', and what to do."""

    what: str
    way_out: str = SAVE_WHOLE


def _starts(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _page(head: bytes) -> bool:
    return head.lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _onnx(head: bytes) -> bool:
    """An ir_version, then the producer's name."""
    return len(head) > 3 and head[0] == 0x08 and 3 <= head[1] < 32 and head[2] == 0x12


def _safetensors(head: bytes) -> bool:
    return len(head) > 9 and head[8:10] in (b'{"', b"{ ") and int.from_bytes(head[:8], "little") < 2**32


HEAD_BYTES = 512

KNOWN: tuple[tuple[Callable[[bytes], bool], Foreign], ...] = (
    (_starts(b"\x08\x01\x12"), Foreign("the saved_model.pb of a SavedModel")),
    (lambda head: head[4:8] == b"TFL3", Foreign("a TensorFlow Lite model")),
    (_starts(*(bytes((0x80, version)) for version in range(2, 6))), Foreign("a Python pickle, which is never opened")),
    (_starts(b"GGUF"), Foreign("a GGUF file", ANOTHER_LIBRARY)),
    (_safetensors, Foreign("a safetensors file", ANOTHER_LIBRARY)),
    (_onnx, Foreign("an ONNX model", ANOTHER_LIBRARY)),
    (_starts(b"\x93NUMPY"), Foreign("a numpy array")),
    (_starts(b"\x1f\x8b"), Foreign("a gzip file", UNPACK)),
    (_starts(b"BZh"), Foreign("a bzip2 file", UNPACK)),
    (_starts(b"\xfd7zXZ\0"), Foreign("an xz file", UNPACK)),
    (_starts(b"\x28\xb5\x2f\xfd"), Foreign("a zstd file", UNPACK)),
    (lambda head: head[257:262] == b"ustar", Foreign("a tar archive", UNPACK)),
    (_starts(b"version https://git-lfs"), Foreign("a Git LFS pointer", "Fetch the file itself with git lfs pull")),
    (_page, Foreign("a web page", "Give the address of the file itself, not of the page that offers it")),
)
"""In the order in which they are tried."""

OF_ARCHIVES: tuple[tuple[str, Foreign], ...] = (
    ("saved_model.pb", Foreign("a SavedModel in a zip archive")),
    ("data.pkl", Foreign("a PyTorch file, whose pickles are never opened", ANOTHER_LIBRARY)),
    (".npy", Foreign("numpy arrays in a zip archive")),
)
"""Zip archives, by the end of the name of a member."""


def recognise(content: bytes) -> Foreign | None:
    """What a file is that is neither a zip archive nor HDF5 nor JSON; None if it is not known here."""
    head = content[:HEAD_BYTES]
    return next((foreign for matches, foreign in KNOWN if matches(head)), None)


def recognise_archive(names: list[str]) -> Foreign | None:
    """What a zip archive with these members is; None if it is not known here."""
    return next((foreign for end, foreign in OF_ARCHIVES if any(name.endswith(end) for name in names)), None)
