"""Zip archives with a model in them, opened without trusting anything in them.

There are two: a `.keras` file, and a zip of exactly two files, the JSON of the layers and an HDF5 file of the weights.
What comes out is the two of them. Sizes are bounded before anything is unpacked, and while it is, so that a small file
cannot fill the memory. Nothing is written to a disk, and no name in the archive is ever used as a path.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from triveni.sharing import hdf5, keras_json
from triveni.sharing.failures import NotAKerasFile, TruncatedFile
from triveni.sharing.foreign import recognise_archive
from triveni.sharing.keras_json import Config

START = b"PK\x03\x04"

MAX_HDF5_BYTES = 2**31

MEMBERS: Mapping[str, int] = {
    "metadata.json": 2**16,
    "config.json": keras_json.MAX_BYTES,
    "model.weights.h5": MAX_HDF5_BYTES,
}
"""The members of a `.keras` file and the most bytes that each may unpack to."""

MAX_COMPRESSION = 100
"""Most times that a member may be larger than what is stored of it. Keras stores without compression; float weights
hardly compress, and a zip bomb is at about 1000."""

MAX_DIRECTORY_BYTES = 2**16
"""Of the list of members: far more than a handful of them needs."""

_DIRECTORY_END = b"PK\x05\x06"
_ZIP64 = b"PK\x06\x07"

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of the others Python unpacks more than it is asked for."""

PAIR = "or a zip of the two files that model.to_json() and model.save_weights('model.weights.h5') are for"


@dataclass(frozen=True)
class Archive:
    """The two parts of a model: its layers, in the form in which they were written, and the HDF5 of its weights."""

    config: Config
    weights: bytes = field(repr=False)


def unpack(content: bytes, source: str) -> Archive:
    """Take an archive apart; `source` says in words where it is from, for messages.

    Raises:
        NotAKerasFile: it is not one of the two.
        TruncatedFile: it is one, but bytes are missing or damaged.
    """
    _check_directory(content, source)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            names = sorted(info.filename for info in infos)
            if names == sorted(MEMBERS):
                return _keras(archive, source)
            if foreign := recognise_archive(names):
                raise NotAKerasFile(source, f"it is {foreign.what}", foreign.way_out)
            if len(set(names)) == len(infos) == 2 and "metadata.json" not in names:
                return _pair(archive, infos, source)
    except zipfile.BadZipFile as error:
        # Python's texts name an offset or a member, no content.
        raise TruncatedFile(source, str(error)) from error
    except (EOFError, zlib.error) as error:
        raise TruncatedFile(source, "its compressed data ends too early or is damaged") from error
    except ValueError as error:  # a place before the file's beginning, a name that is no text
        raise TruncatedFile(source, "its list of members is damaged") from error
    except (NotImplementedError, RuntimeError) as error:
        raise NotAKerasFile(source, f"its zip archive needs {error}") from error
    shown = ", ".join(repr(name[:60]) for name in names[:6]) + (", ..." if len(names) > 6 else "")
    problem = f"its zip archive must contain exactly {', '.join(MEMBERS)}, and contains {shown or 'nothing'}"
    raise NotAKerasFile(source, problem, f"{NotAKerasFile.way_out}, {PAIR}")


def _check_directory(content: bytes, source: str) -> None:
    """Refuse a list of members that Python would read into gigabytes; its end says how long it is."""
    for end in (len(content) - 22, content.rfind(_DIRECTORY_END, max(0, len(content) - 2**16 - 22))):
        record = content[max(end, 0) :][:22]
        if not record.startswith(_DIRECTORY_END):
            continue
        size = int.from_bytes(record[12:16], "little")
        if size > MAX_DIRECTORY_BYTES or content[max(end - 20, 0) :].startswith(_ZIP64):
            raise NotAKerasFile(source, "its zip archive has more members than a model has")


def _keras(archive: zipfile.ZipFile, source: str) -> Archive:
    metadata, config, weights = (_read(archive, archive.getinfo(name), MEMBERS[name], source) for name in MEMBERS)
    keras_json.check_version(
        keras_json.read_object(metadata, "metadata.json", source).get("keras_version"), None, source
    )
    return Archive(keras_json.read_object(config, "config.json", source), weights)


def _pair(archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo], source: str) -> Archive:
    """Which of the two is which their first bytes say; their names are the user's."""
    starts = {info.filename: _read_start(archive, info, source) for info in infos}
    weights = [info for info in infos if starts[info.filename].startswith(hdf5.START)]
    layers = [info for info in infos if starts[info.filename].lstrip().startswith(b"{")]
    if len(weights) != 1 or len(layers) != 1:
        named = " and ".join(repr(info.filename[:60]) for info in infos)
        problem = f"of a zip of two files one must be JSON and one HDF5, which is not so of {named}"
        raise NotAKerasFile(source, problem, f"{NotAKerasFile.way_out}, {PAIR}")
    name = layers[0].filename[:60]
    config = keras_json.read_object(_read(archive, layers[0], keras_json.MAX_BYTES, source), name, source)
    return Archive(config, _read(archive, weights[0], MAX_HDF5_BYTES, source))


def _read_start(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str) -> bytes:
    _check(info, MAX_HDF5_BYTES, source)
    with archive.open(info) as member:
        return member.read(64)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, source: str) -> bytes:
    _check(info, limit, source)
    with archive.open(info) as member:
        # With a number, so that no more than that is unpacked, whatever the archive says of itself.
        return member.read(info.file_size + 1)


def _check(info: zipfile.ZipInfo, limit: int, source: str) -> None:
    name = info.filename[:60]
    if info.flag_bits & 1:
        raise NotAKerasFile(source, f"{name} is encrypted")
    if info.compress_type not in _METHODS:
        raise NotAKerasFile(
            source, f"{name} is compressed in a way that is not read", "Zip it with deflate, or store it"
        )
    if info.file_size > limit:
        raise NotAKerasFile(source, f"{name} unpacks to {info.file_size} bytes, at most {limit} are read")
    if info.file_size > MAX_COMPRESSION * max(info.compress_size, 1):
        problem = f"{name} unpacks {info.compress_size} bytes to {info.file_size}, more than {MAX_COMPRESSION} times"
        raise NotAKerasFile(source, f"{problem} as many")
