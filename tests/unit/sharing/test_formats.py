"""What a file is its content says; what is none is named with the way out; and hostile ones cost nothing."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.unit.sharing.keras_files import (
    array,
    dense,
    functional,
    hdf5,
    input_layer,
    layer,
    sequential,
    small_file,
    small_groups,
    small_layers,
)
from triveni.sharing import keras_json
from triveni.sharing.content import read_file
from triveni.sharing.failures import (
    NotAKerasFile,
    ShapeMismatch,
    SharingFailure,
    SourceNotFound,
    TruncatedFile,
    UnsupportedLayer,
)
from triveni.sharing.keras_file import parse_model, parse_pair, read_model

Edit = Callable[[h5py.File], None]

CONFIG = json.dumps(sequential(*small_layers()))


def nothing(file: h5py.File) -> None:
    pass


def old(
    edit: Edit = nothing, config: str | bytes = CONFIG, version: str = "2.12.0", backend: str = "tensorflow"
) -> bytes:
    """An HDF5 file with a whole model, as Keras of old wrote it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update(model_config=config, keras_version=version, backend=backend)
        for name, arrays in small_groups().values():
            group = file.create_group(f"model_weights/{name}")
            for variable, values in zip(("kernel:0", "bias:0"), arrays, strict=False):
                group[f"{name}/{variable}"] = values
        edit(file)
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def refused(content: bytes, kind: type[SharingFailure] = NotAKerasFile) -> str:
    with pytest.raises(kind) as caught:
        parse_model(content, "it")
    return str(caught.value)


# --- recognised by content ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model", "model.json", "model.txt"])
@pytest.mark.parametrize(
    "content",
    [small_file(), old(), zipped({"a.json": CONFIG.encode(), "b": hdf5(small_groups())})],
    ids=["keras", "h5", "pair"],
)
def test_a_model_is_read_whatever_its_name_is(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert len(read_model(tmp_path / name).architecture.layers) == 6


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.keras"))
    return buffer.getvalue()


def numpy_file() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array(2))
    return buffer.getvalue()


def empty_hdf5() -> bytes:
    buffer = io.BytesIO()
    h5py.File(buffer, "w").close()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x08\x01\x12\x80\x01", "the saved_model.pb of a SavedModel. Write one with model.save('model.keras')"),
        (zipped({"m/saved_model.pb": b"", "m/variables/x": b""}), "a SavedModel in a zip archive. Write one"),
        (pickle.dumps({"a": 1}), "a Python pickle, which is never opened. Write one with"),
        (zipped({"m/data.pkl": b"", "m/version": b""}), "whose pickles are never opened. Build the model in Keras"),
        (b"\x08\x07\x12\x07pytorch", "an ONNX model. Build the model in Keras"),
        (b"\x1c\0\0\0TFL3", "a TensorFlow Lite model. Write one"),
        (struct.pack("<Q", 100) + b'{"a":{}}', "a safetensors file. Build"),
        (b"GGUF\x03", "a GGUF file. Build"),
        (numpy_file(), "a numpy array. Write one"),
        (zipped({"a.npy": b"", "b.npy": b"", "c.npy": b""}), "numpy arrays in a zip archive"),
        (b"\x1f\x8b\x08\0", "a gzip file. Unpack it and give the model file in it"),
        (tar(), "a tar archive. Unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer. Fetch the file itself with git lfs pull"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "a web page. Give the address of the file itself"),
        (
            CONFIG.encode(),
            "it is JSON: the layers of a model at most, without weights. Give the layers as well: --model",
        ),
        (hdf5(small_groups()), "an HDF5 file with weights, without the layers. Give the layers as well: --model"),
        (empty_hdf5(), "an HDF5 file, and no model is in it. Write one"),
        (b"hello", "it is no zip archive and no HDF5 file. Write one"),
        (zipped({"one": b"1"}), "its zip archive must contain exactly metadata.json, config.json, model.weights.h5"),
        (zipped({"one": b"1", "two": b"{}"}), "one must be JSON and one HDF5, which is not so of 'one' and 'two'"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_what_is_no_model_file_is_named_with_the_way_out(content: bytes, told: str) -> None:
    assert told in refused(content)


def test_a_savedmodel_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(NotAKerasFile, match=r"it is a SavedModel directory. Write one with model\.save"):
        read_file(tmp_path)
    (tmp_path / "saved_model.pb").unlink()
    with pytest.raises(SourceNotFound, match="is a directory"):
        read_file(tmp_path)


def test_two_files_are_not_taken_for_each_other() -> None:
    layers, weights = CONFIG.encode(), hdf5(small_groups())
    assert len(parse_pair(layers, weights, "j", "w").architecture.layers) == 6
    with pytest.raises(
        NotAKerasFile, match=r"^j is not .*: it is not the JSON .*\. Give --model the JSON and --weights"
    ):
        parse_pair(weights, layers, "j", "w")
    with pytest.raises(NotAKerasFile, match=r"^w is not .*: it is not HDF5"):
        parse_pair(layers, layers, "j", "w")


# --- who wrote it -------------------------------------------------------------------------------------------------


def test_a_keras_that_is_too_old_is_said() -> None:
    assert "written by Keras '1.2.2', and Keras 2 or 3 is needed" in refused(old(version="1.2.2"))
    told = "written by Keras 2.2.4 on 'theano', not TensorFlow. Load it with that Keras"
    assert told in refused(old(version="2.2.4", backend="theano"))
    document = {**json.loads(CONFIG), "keras_version": "1.0", "backend": "tensorflow"}
    assert "written by Keras '1.0'" in refused(zipped({"a": json.dumps(document).encode(), "b": hdf5(small_groups())}))


def test_a_sequential_of_old_needs_no_input_layer() -> None:
    first = {"class_name": "Dense", "config": {"name": "a", "units": 2, "batch_input_shape": [None, 3]}}
    entries = [first, {"class_name": "Dense", "config": {"name": "b", "units": 2}}]
    for config in ({"name": "sequential", "layers": entries}, entries):  # before and after Keras 2.2.3
        changed: Any = keras_json.as_keras_3({"class_name": "Sequential", "config": config}, "it")
        names = [entry["class_name"] for entry in changed["config"]["layers"]]
        assert names == ["InputLayer", "Dense", "Dense"]
        assert changed["config"]["layers"][0]["config"]["batch_shape"] == [None, 3]
        assert "batch_input_shape" not in changed["config"]["layers"][1]["config"]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"class_name": "mine>Dense", "config": {"name": "it"}}, "mine>Dense is a custom class"),
        ({"class_name": "Mine", "config": {"name": "it"}}, "Mine is not served"),
        (
            {"class_name": "Lambda", "config": {"name": "it", "function": ["4wEA", None, None]}},
            "no code of a model is ever",
        ),
        ({"class_name": "TFOpLambda", "config": {"name": "it", "function": "os.system"}}, "TFOpLambda is not served"),
    ],
)
def test_custom_code_of_old_is_refused_by_name(entry: dict[str, Any], told: str) -> None:
    document = sequential(input_layer(8, 8, 1), entry)
    assert told in refused(old(config=json.dumps(document)), UnsupportedLayer)


def test_options_of_a_call_of_old_are_not_lost() -> None:
    entries = functional(input_layer(4), layer("Dropout", "drop", rate=0.5), dense("a", 4))["config"]["layers"]
    for entry, before in zip(entries[1:], entries, strict=False):
        entry["inbound_nodes"] = [[[before["name"], 0, 0, {"training": True}]]]
    document = functional(input_layer(4), dense("a", 4))
    document["config"]["layers"] = entries
    assert "layer 'drop'" in refused(old(config=json.dumps(document)), UnsupportedLayer)


@pytest.mark.parametrize(
    "config",
    [
        "{}",
        "[]",
        "{",
        '{"class_name": "Sequential", "config": 7}',
        '{"class_name": [], "config": {"layers": [1, {}]}}',
        "[" * 100_000,
        '{"class_name": "Sequential", "config": ' * 100_000,
    ],
)
def test_json_that_is_no_model_is_refused(config: str) -> None:
    with pytest.raises((NotAKerasFile, UnsupportedLayer)):
        parse_model(old(config=config), "it")


# --- hostile archives ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_in_a_pair_is_not_unpacked(compression: int) -> None:
    bomb = zipped({"a": b"{" + b" " * 2**24, "b": hdf5(small_groups())}, compression)
    assert len(bomb) < 2**17
    told = refused(bomb)
    assert "more than 100 times as many" in told or "compressed in a way that is not read" in told


def claiming(**members: tuple[bytes, int]) -> bytes:
    """A zip archive whose members unpack to something, and are said to unpack to so many bytes."""
    files, directory = b"", b""
    for name, (body, claim) in members.items():
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = deflate.compress(body) + deflate.flush()
        sizes = (zlib.crc32(body), len(data), claim, len(name), 0)
        info = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, *sizes)
        directory += b"PK\x01\x02\x14\x00" + info + struct.pack("<HHHII", 0, 0, 0, 0, len(files)) + name.encode()
        files += b"PK\x03\x04" + info + name.encode() + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(files), 0)
    return files + directory + b"PK\x05\x06" + end


def test_an_archive_that_lies_about_its_sizes_is_unpacked_no_further_than_it_says() -> None:
    """Left to itself, Python unpacks what is there, gigabytes for all that it knows, and cuts it to what was said."""
    weights = hdf5(small_groups())
    bomb = claiming(a=(b"{" + b" " * 2**26, 60_000), b=(weights, len(weights)))
    tracemalloc.start()
    try:
        refused(bomb, TruncatedFile)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_a_list_of_a_million_members_is_not_read() -> None:
    content = bytearray(zipped({"a": b"{}", "b": hdf5({})}))
    end = content.rindex(b"PK\x05\x06")
    content[end + 12 : end + 16] = struct.pack("<I", 50_000_000)
    assert "more members than a model has" in refused(bytes(content))


def test_a_symbolic_link_in_an_archive_is_not_followed() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("model.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("w.h5", hdf5(small_groups()))
    assert "one must be JSON and one HDF5" in refused(buffer.getvalue())


def test_a_name_in_an_archive_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parse_model(zipped({"../../a": CONFIG.encode(), "/b": hdf5(small_groups())}), "it")
    assert list(tmp_path.iterdir()) == []


def test_the_same_name_twice_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", CONFIG)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", hdf5(small_groups()))
    assert "and contains 'a', 'a'" in refused(buffer.getvalue())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(
    "content", [old(), zipped({"a": CONFIG.encode(), "b": hdf5(small_groups())})], ids=["h5", "pair"]
)
def test_a_truncated_file_of_every_format_is_called_so(content: bytes, share: float) -> None:
    refused(content[: int(len(content) * share)], TruncatedFile)


# --- hostile HDF5 -------------------------------------------------------------------------------------------------

KERNEL = "model_weights/logits/logits/kernel:0"


def replace(make: Callable[[h5py.File], None]) -> Edit:
    def edit(file: h5py.File) -> None:
        del file[KERNEL]
        make(file)

    return edit


def external(file: h5py.File) -> None:
    file[KERNEL] = h5py.ExternalLink("/etc/hostname", "/")


def soft(file: h5py.File) -> None:
    file[KERNEL] = h5py.SoftLink("/model_weights/first/first/kernel:0")


def kept_elsewhere(file: h5py.File) -> None:
    file.create_dataset(KERNEL, (3, 4), "f4", external=[("/etc/hostname", 0, 48)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (3, 4))
    file.create_virtual_dataset(KERNEL, layout)


def packed(file: h5py.File) -> None:
    """HDF5 unpacks for as long as there is something, whatever the shape says."""
    file.create_dataset(KERNEL, data=array(3, 4), compression="gzip")


def plug_in(file: h5py.File) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((3, 4))
    creation.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((3, 4))
    h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.NATIVE_FLOAT, space, creation)


def huge(file: h5py.File) -> None:
    file.create_dataset(KERNEL, (2**40, 2**20), "f4")


def not_there(file: h5py.File) -> None:
    """Values that were never written: HDF5 would make zeros of them."""
    file.create_dataset(KERNEL, (3, 4), "f4")


def wide(file: h5py.File) -> None:
    file.create_dataset(KERNEL, data=array(3, 4).astype(np.longdouble))


def looped(file: h5py.File) -> None:
    """Groups that hold themselves: a walk through them would never end."""
    group = file["model_weights/logits"]
    for number in range(40):
        group[f"again{number}"] = group


@pytest.mark.parametrize(
    ("make", "failure", "told"),
    [
        (external, ShapeMismatch, "the number of its variables is 1, but 2"),
        (soft, ShapeMismatch, "the number of its variables is 1, but 2"),
        (kept_elsewhere, NotAKerasFile, "not stored in it in a plain way"),
        (virtual, NotAKerasFile, "not stored in it in a plain way"),
        (packed, NotAKerasFile, "not stored in it in a plain way"),
        (plug_in, NotAKerasFile, "not stored in it in a plain way"),
        (huge, ShapeMismatch, r"kernel is of shape \(1099511627776, 1048576\), but of shape \(3, 4\)"),
        (not_there, NotAKerasFile, "not stored in it in a plain way"),
        (wide, NotAKerasFile, "not stored in it in a plain way"),
        (looped, ShapeMismatch, "in more groups than Keras makes"),
    ],
)
def test_hdf5_that_asks_for_more_than_to_be_read_is_refused(
    make: Callable[[h5py.File], None], failure: type[SharingFailure], told: str
) -> None:
    with pytest.raises(failure, match=told):
        parse_model(old(replace(make)), "it")


def many(file: h5py.File) -> None:
    """A thousand texts that are all the same megabyte."""
    del file.attrs["model_config"]
    file.attrs.create("model_config", ["x" * 1000] * 1000, dtype=h5py.string_dtype())


def number(file: h5py.File) -> None:
    del file.attrs["model_config"]
    file.attrs["model_config"] = 7


@pytest.mark.parametrize("make", [many, number])
def test_a_config_that_is_not_one_text_is_none(make: Callable[[h5py.File], None]) -> None:
    assert "with weights, without the layers" in refused(old(make))


def test_a_config_beyond_its_bound_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_json, "MAX_BYTES", 100)
    assert "with weights, without the layers" in refused(old())


FUZZ = """
import random, resource, sys
from triveni.sharing.failures import SharingFailure
from triveni.sharing.keras_file import parse_model
resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))
content, rng = open(sys.argv[1], "rb").read(), random.Random(int(sys.argv[2]))
read = 0
for _ in range(int(sys.argv[3])):
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    try:
        parse_model(bytes(changed), "it")
        read += 1
    except SharingFailure:
        pass
print(read)
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_bytes_changed_at_random_are_read_or_refused_and_nothing_else(tmp_path: Path, seed: int) -> None:
    (tmp_path / "model.h5").write_bytes(old())
    command = [sys.executable, "-c", FUZZ, str(tmp_path / "model.h5"), str(seed), "150"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
