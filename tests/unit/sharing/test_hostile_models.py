"""Model files made to harm whoever reads them: code in them is not run, and what they claim is not believed."""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.unit.sharing.keras_files import (
    array,
    dense,
    hdf5,
    input_layer,
    keras_file,
    layer,
    sequential,
    small_file,
    small_layers,
)
from triveni.sharing.failures import NotAKerasFile, ShapeMismatch, SharingFailure, UnsupportedLayer
from triveni.sharing.keras_file import parse_model
from triveni.sharing.rehearsal import rehearse

# --- code ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that exists once code of a model has run. A module `evil`, which can be imported, makes it as well."""
    trace = tmp_path / "trace"
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "evil.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(modules))
    return trace


def code(trace: Path) -> str:
    """A function that makes the file, as Keras writes a Lambda: base64 of marshalled byte code."""
    made: Callable[[], None] = eval(f"lambda: open({str(trace)!r}, 'w').close()")
    return base64.b64encode(marshal.dumps(made.__code__)).decode()


def evil(kind: str = "Evil", **config: Any) -> dict[str, Any]:
    return {"module": "evil", "class_name": kind, "config": config, "registered_name": f"evil>{kind}"}


def lambda_of(trace: Path) -> dict[str, Any]:
    return {"class_name": "__lambda__", "config": {"code": code(trace), "defaults": None, "closure": None}}


CARRIERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "a Lambda of Keras 3": lambda trace: [layer("Lambda", "it", function=lambda_of(trace), arguments={})],
    "a Lambda of Keras 2": lambda trace: [
        layer("Lambda", "it", function=[code(trace), None, None], function_type="lambda", module="evil")
    ],
    "a Lambda by name": lambda trace: [layer("Lambda", "it", function="evil", function_type="function")],
    "a layer of its own": lambda trace: [{**dense("it", 4), "module": "evil", "class_name": "Evil"}],
    "a registered layer": lambda trace: [{**dense("it", 4), "registered_name": "evil>Evil"}],
    "an activation": lambda trace: [dense("it", 4, activation=evil())],
    "an activation that is code": lambda trace: [dense("it", 4, activation=lambda_of(trace))],
    "a TimeDistributed": lambda trace: [layer("TimeDistributed", "it", layer=evil())],
}

IGNORED: dict[str, Callable[[Path], dict[str, Any]]] = {
    "an initializer": lambda trace: {"kernel_initializer": evil()},
    "a regularizer": lambda trace: {"kernel_regularizer": lambda_of(trace)},
}
"""What is of use in training alone: it is not looked at."""


@pytest.mark.parametrize("carrier", CARRIERS)
def test_code_in_a_model_is_not_run_and_its_layer_is_refused_by_name(planted: Path, carrier: str) -> None:
    layers = [input_layer(3), *CARRIERS[carrier](planted)]
    with pytest.raises(UnsupportedLayer, match="'it'"):
        parse_model(keras_file(sequential(*layers), hdf5({})), "model")
    assert not planted.exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize("ignored", IGNORED)
def test_code_for_training_is_not_run(planted: Path, ignored: str) -> None:
    layers = [input_layer(3), dense("it", 4, **IGNORED[ignored](planted))]
    groups = {"dense": ("it", [array(3, 4), array(4)])}
    document = {**sequential(*layers), "compile_config": {"optimizer": evil(), "loss": lambda_of(planted)}}
    parse_model(keras_file(document, hdf5(groups)), "model")
    assert not planted.exists()
    assert "evil" not in sys.modules


def test_the_planted_code_would_run(planted: Path) -> None:
    """Otherwise the tests above show nothing."""
    exec(marshal.loads(base64.b64decode(code(planted))), {"__builtins__": __builtins__})
    assert planted.exists()
    planted.unlink()
    __import__("evil")
    assert planted.exists()
    del sys.modules["evil"]


def test_a_model_in_pickled_weights_is_not_unpickled(planted: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(planted), "w")

    def objects(file: h5py.File) -> None:
        buffer = io.BytesIO()
        np.save(buffer, np.array([Harm()], object), allow_pickle=True)
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = np.void(buffer.getvalue())

    with pytest.raises(ShapeMismatch):
        parse_model(small_file(objects), "model")
    assert not planted.exists()


# --- archives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../trace", "/tmp/trace", "..\\trace", "a/../../trace", "config.json "])
def test_no_name_in_an_archive_becomes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    with pytest.raises(SharingFailure):
        parse_model(small_file(extra={name: b"x"}), "model")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_bomb_of_many_members_is_not_listed() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number:040}", b"")
    with pytest.raises(NotAKerasFile, match="more members than a model has"):
        parse_model(buffer.getvalue(), "model")


def test_a_member_that_says_it_is_small_is_not_unpacked_beyond_that() -> None:
    """The directory claims 1,000 bytes; the data unpack to 16 million."""
    content = bytearray(keras_file(sequential(*small_layers()), b"\0" * 2**24, compression=zipfile.ZIP_DEFLATED))
    claimed = (2**24).to_bytes(4, "little")
    assert content.count(claimed) == 2
    with pytest.raises(SharingFailure):
        parse_model(bytes(content.replace(claimed, (1000).to_bytes(4, "little"))), "model")


# --- HDF5 ---------------------------------------------------------------------------------------------------------


def replaced(**how: Any) -> Callable[[h5py.File], None]:
    """The kernel of the last layer, made another way."""

    def edit(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", **how)

    return edit


def petabytes(file: h5py.File) -> None:
    replaced(shape=(2**24, 2**24), dtype="f4", chunks=(1, 1024))(file)


def loop_of_soft_links(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense/vars/1")
    del file["layers/dense/vars/1"]
    file["layers/dense/vars/1"] = h5py.SoftLink("/layers/dense/vars/0")


def a_group_in_itself(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = file["layers/dense"]


def a_layer_that_is_the_root(file: h5py.File) -> None:
    del file["layers/dense"]
    file["layers/dense"] = file["/"]


def references(file: h5py.File) -> None:
    replaced(shape=(3, 4), dtype=h5py.ref_dtype)(file)


def texts(file: h5py.File) -> None:
    replaced(shape=(3, 4), dtype=h5py.string_dtype())(file)


def records(file: h5py.File) -> None:
    replaced(data=np.zeros((3, 4), [("a", "f4"), ("b", "f4")]))(file)


ODDITIES: dict[str, Callable[[h5py.File], None]] = {
    "a shape of petabytes": petabytes,
    "values that were never written": replaced(shape=(3, 4), dtype="f4"),
    "a bomb of deflate": replaced(data=np.zeros((3, 4), "f4"), compression="gzip", chunks=(3, 4)),
    "a filter": replaced(data=array(3, 4), shuffle=True, chunks=(1, 4)),
    "a checksum": replaced(data=array(3, 4), fletcher32=True, chunks=(3, 4)),
    "chunks": replaced(data=array(3, 4), chunks=(3, 4)),
    "a loop of soft links": loop_of_soft_links,
    "a group in itself": a_group_in_itself,
    "a layer that is the root": a_layer_that_is_the_root,
    "references": references,
    "texts of any length": texts,
    "records": records,
    "an empty dataset": replaced(data=h5py.Empty("f4")),
    "numbers of 16 bytes": replaced(data=np.zeros((3, 4), np.longdouble)),
    "complex numbers": replaced(data=np.zeros((3, 4), np.complex64)),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_weights_that_are_not_plain_are_refused(oddity: str) -> None:
    with pytest.raises((NotAKerasFile, ShapeMismatch)):
        parse_model(small_file(ODDITIES[oddity]), "model")


def test_groups_without_end_are_not_walked_for_ever() -> None:
    """In the layout of old, variables are looked for however deep they are."""

    def circle(file: h5py.File) -> None:
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"name": "s", "layers": [input_layer(3), dense("it", 4)]}}
        )
        file.attrs["keras_version"] = "2.15.0"
        group = file.create_group("model_weights/it")
        for number in range(8):
            group[f"again{number}"] = group

    with pytest.raises(ShapeMismatch, match="in more groups than Keras makes"):
        parse_model(hdf5({}, circle), "model")


# --- what breaks libhdf5 ------------------------------------------------------------------------------------------


def for_ever() -> None:
    while True:
        pass


def broken() -> None:
    os.kill(os.getpid(), signal.SIGSYS)  # as a fault does, without what pytest prints of one


@pytest.mark.parametrize(
    ("harm", "says"), [(for_ever, "keeps who reads it busy for more than 1 s"), (broken, "breaks who reads it")]
)
def test_a_file_that_harms_its_reader_is_refused(harm: Callable[[], None], says: str) -> None:
    with pytest.raises(NotAKerasFile, match=says):
        rehearse(harm, "model", seconds=1)


def test_what_can_be_read_or_refused_is_no_harm() -> None:
    def refuse() -> None:
        raise NotAKerasFile("model", "no")

    rehearse(small_file, "model", seconds=10)
    rehearse(refuse, "model", seconds=10)
