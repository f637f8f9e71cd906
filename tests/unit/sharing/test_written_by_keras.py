"""Files that Keras 2 and Keras 3 really wrote are read as what was in the model: see written/write.py."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from triveni.mpc.architecture import Architecture, AveragePooling2D, Conv2D, Dense, Flatten, Relu
from triveni.sharing import keras_json
from triveni.sharing.failures import NotAKerasFile
from triveni.sharing.keras_file import KerasModel, parse_model, parse_pair
from triveni.sharing.keras_variables import variables

ZIPS = sorted((Path(__file__).parent / "written").glob("keras-*.zip"))

CHAIN = Architecture(
    (8, 8, 1),
    (
        Conv2D("first", 2, (3, 3)),
        Relu("first/relu"),
        AveragePooling2D("average_pooling2d", (2, 2), (2, 2)),
        Conv2D("second", 3, (2, 2), padding="same", use_bias=False),
        Relu("re_lu"),
        Flatten("flatten"),
        Dense("logits", 4),
    ),
)

GRAPH = {
    "left": ("conv2d", ["kernel", "bias"]),
    "normal": ("batch_normalization", ["gamma", "beta", "moving_mean", "moving_variance"]),
    "deep": ("depthwise_conv2d", ["kernel", "bias"]),
    "logits": ("dense", ["kernel", "bias"]),
}
"""The layers with weights of the second model, each with its class and its variables."""


def written(name: str) -> list[tuple[Path, str]]:
    """The zips that hold files of this name."""
    return [(path, file) for path in ZIPS for file in zipfile.ZipFile(path).namelist() if file.startswith(name)]


def numbered(name: str) -> list[tuple[Path, str]]:
    """The same without Keras 2.12, which numbers its groups in a way of its own."""
    return [(path, file) for path, file in written(name) if "2.12" not in path.name]


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def arrays(path: Path, name: str) -> Mapping[str, NDArray[np.float32]]:
    return np.load(io.BytesIO(read(path, f"{name}.npz")))


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def check(model: KerasModel, path: Path) -> None:
    assert model.architecture == CHAIN
    expected = arrays(path, "chain")
    got = {f"{layer}/{n}": array for layer, found in model.weights.items() for n, array in enumerate(found)}
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_array_equal(got[name], expected[name])


@pytest.mark.parametrize("path", ZIPS, ids=lambda path: path.stem)
def test_an_hdf5_file_with_a_whole_model_is_read(path: Path) -> None:
    check(parse_model(read(path, "chain.h5"), "it"), path)


@pytest.mark.parametrize(("path", "name"), written("chain.keras"), ids=str)
def test_a_keras_file_is_read(path: Path, name: str) -> None:
    check(parse_model(read(path, name), "it"), path)


WEIGHTS = [*numbered("chain.weights.h5"), *written("chain.old-weights.h5"), *written("chain.h5")]


@pytest.mark.parametrize(("path", "name"), WEIGHTS, ids=str)
def test_layers_as_json_and_weights_as_hdf5_are_read_as_two_files_and_as_one_zip(path: Path, name: str) -> None:
    layers, weights = read(path, "chain.json"), read(path, name)
    check(parse_pair(layers, weights, "it", "its weights"), path)
    check(parse_model(zipped(a=weights, b=layers), "it"), path)


def test_numbers_that_are_not_understood_are_refused() -> None:
    (path,) = (path for path in ZIPS if "2.12" in path.name)
    with pytest.raises(NotAKerasFile, match="holds no weights of a Keras model"):
        parse_pair(read(path, "chain.json"), read(path, "chain.weights.h5"), "it", "its weights")


FILES = [*written("graph.h5"), *numbered("graph.weights.h5"), *written("graph.old-weights.h5")]


@pytest.mark.parametrize(("path", "name"), FILES, ids=str)
def test_every_kind_of_variable_is_found_in_every_layout(path: Path, name: str) -> None:
    groups = {layer: f"layers/{group}" for layer, (group, _) in GRAPH.items()}
    with h5py.File(io.BytesIO(read(path, name))) as file:
        found = variables(file, groups, "it")
        got = {
            f"{layer}/{n}": v[()] for layer, (_, names) in GRAPH.items() for n, v in enumerate(found.of(layer, names))
        }
    expected = arrays(path, "graph")
    assert got.keys() == expected.keys()
    for key in got:
        np.testing.assert_array_equal(got[key], expected[key])


NESTED = [
    *written("nested.h5"),
    *numbered("nested.weights.h5"),
    *written("nested.old-weights.h5"),
    *written("nested.keras"),
]


@pytest.mark.parametrize(("path", "name"), [*NESTED, *FILES, *written("graph.keras")], ids=str)
def test_graphs_and_models_inside_models_are_read(path: Path, name: str) -> None:
    kind, content = name.partition(".")[0], read(path, name)
    if "weights" in name:
        model = parse_pair(read(path, f"{kind}.json"), content, "it", "its weights")
    else:
        model = parse_model(content, "it")
    expected = arrays(path, kind)
    got = {f"{layer}/{n}": array for layer, found in model.weights.items() for n, array in enumerate(found)}
    assert got.keys() == expected.keys()
    for key in got:
        np.testing.assert_array_equal(got[key], expected[key])


@pytest.mark.parametrize("path", ZIPS, ids=lambda path: path.stem)
def test_a_graph_has_the_same_nodes_whoever_wrote_it(path: Path) -> None:
    config = keras_json.as_keras_3(keras_json.read_object(read(path, "graph.json"), "it", "it"), "it")["config"]
    assert {entry["module"] for entry in config["layers"]} == {"keras.layers"}
    assert {entry["registered_name"] for entry in config["layers"]} == {None}
    first = config["layers"][0]
    assert first["config"]["batch_shape"] == [None, 6, 6, 2]
    (merge,) = (entry for entry in config["layers"] if entry["class_name"] == "Add")
    ((left, right),) = merge["inbound_nodes"][0]["args"]
    assert left["config"]["keras_history"] == [first["config"]["name"], 0, 0]
    assert right["config"]["keras_history"] == ["normal", 0, 0]
    (chain,) = (entry for entry in config["layers"] if entry["class_name"] == "Flatten")
    (before,) = chain["inbound_nodes"][0]["args"]
    assert before["config"]["keras_history"] == ["deep", 0, 0]
    (normal,) = (entry for entry in config["layers"] if entry["class_name"] == "BatchNormalization")
    assert normal["config"]["axis"] in (3, -1)
