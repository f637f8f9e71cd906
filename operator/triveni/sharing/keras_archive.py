"""The container of a Keras 3 file: a zip of three members, opened without trusting anything in it.

What comes out is the JSON of the layers and the bytes of the HDF5 file. Sizes are bounded before anything is unpacked,
so that a small file cannot fill the memory.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from triveni.sharing.failures import NotAKerasFile, TruncatedFile

MEMBERS: Mapping[str, int] = {
    "metadata.json": 2**16,
    "config.json": 2**24,
    "model.weights.h5": 2**31,
}
"""The members of the zip and the most bytes that each may unpack to."""

MAX_COMPRESSION = 100
"""Most times that a member may be larger than what is stored of it. Keras stores without compression; float weights
hardly compress, and a zip bomb is at about 1000."""

_ZIP_START = b"PK\x03\x04"
_HDF5_START = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Archive:
    """The two parts of the file that matter here."""

    config: Mapping[str, Any]
    weights: bytes = field(repr=False)


def unpack(content: bytes, source: str) -> Archive:
    """Take a Keras file apart; `source` says in words where it is from, for messages.

    Raises:
        NotAKerasFile: it is no zip, or not one that Keras 3 writes.
        TruncatedFile: it is one, but bytes are missing or damaged.
    """
    if not content:
        raise TruncatedFile(source, "it is empty")
    if content.startswith(_HDF5_START):
        raise NotAKerasFile(source, "it is an HDF5 file, the format of Keras 2")
    if not content.startswith(_ZIP_START):
        raise NotAKerasFile(source, "it is no zip archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _checked_members(archive, source)
            metadata, config, weights = (archive.read(members[name]) for name in MEMBERS)
    except zipfile.BadZipFile as error:
        # Python's texts name an offset or a member, no content.
        raise TruncatedFile(source, str(error)) from error
    except (EOFError, zlib.error) as error:
        raise TruncatedFile(source, "its compressed data ends too early or is damaged") from error
    except NotImplementedError as error:
        raise NotAKerasFile(source, f"its zip archive needs {error}") from error
    _check_version(_json_object(metadata, "metadata.json", source), source)
    return Archive(_json_object(config, "config.json", source), weights)


def _checked_members(archive: zipfile.ZipFile, source: str) -> Mapping[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if sorted(names) != sorted(MEMBERS):
        shown = ", ".join(repr(name[:60]) for name in names[:6]) + (", ..." if len(names) > 6 else "")
        raise NotAKerasFile(source, f"it must contain exactly {', '.join(MEMBERS)}, and contains {shown or 'nothing'}")
    for info in infos:
        if info.flag_bits & 1:
            raise NotAKerasFile(source, f"{info.filename} is encrypted")
        if info.file_size > MEMBERS[info.filename]:
            raise NotAKerasFile(
                source,
                f"{info.filename} unpacks to {info.file_size} bytes, at most {MEMBERS[info.filename]} are read",
            )
        if info.file_size > MAX_COMPRESSION * max(info.compress_size, 1):
            raise NotAKerasFile(
                source,
                f"{info.filename} unpacks {info.compress_size} bytes to {info.file_size},"
                f" more than {MAX_COMPRESSION} times as many",
            )
    return {info.filename: info for info in infos}


def _json_object(data: bytes, member: str, source: str) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotAKerasFile(source, f"{member} is no JSON") from error
    if not isinstance(document, dict):
        raise NotAKerasFile(source, f"{member} is no JSON object")
    return document


def _check_version(metadata: Mapping[str, Any], source: str) -> None:
    version = metadata.get("keras_version")
    if not isinstance(version, str) or not version.startswith("3."):
        raise NotAKerasFile(source, f"it was written by Keras {version!r:.40}, and Keras 3 is needed")
