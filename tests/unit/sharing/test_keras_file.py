"""Reading .keras files: what is served is read exactly, everything else is refused by name."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.unit.sharing.keras_files import (
    array,
    conv2d,
    dense,
    flatten,
    functional,
    hdf5,
    input_layer,
    keras_file,
    layer,
    pooling,
    sequential,
    small_file,
    small_groups,
    small_layers,
)
from triveni.mpc.architecture import (
    Add,
    Architecture,
    AveragePooling2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Relu,
    Reshape,
    Softmax,
)
from triveni.sharing.failures import (
    DigestMismatch,
    NotAKerasFile,
    ShapeMismatch,
    SourceNotFound,
    TruncatedFile,
    UnsupportedLayer,
    ValueOutOfRange,
)
from triveni.sharing.keras_file import KerasModel, read_model
from triveni.sharing.keras_layers import read_layers

SMALL = Architecture(
    (8, 8, 1),
    (
        Conv2D("first", 2, (3, 3)),
        Relu("first/relu"),
        AveragePooling2D("pool", (2, 2), (2, 2)),
        Conv2D("second", 3, (3, 3), use_bias=False),
        Flatten("flatten"),
        Dense("logits", 4),
    ),
)

Read = Callable[[bytes], KerasModel]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content: bytes) -> KerasModel:
        path = tmp_path / "model.keras"
        path.write_bytes(content)
        return read_model(path)

    return read


# --- what is served -----------------------------------------------------------------------------------------------


def test_a_sequential_model_is_read_layer_by_layer() -> None:
    assert read_layers(sequential(*small_layers())).architecture == SMALL


def test_a_functional_chain_is_the_same_model(read: Read) -> None:
    model = read(keras_file(functional(*small_layers()), hdf5(small_groups())))
    assert model.architecture == SMALL


def test_weights_are_those_of_the_file(read: Read) -> None:
    model = read(small_file())
    assert list(model.weights) == ["first", "second", "logits"]
    for name, arrays in small_groups().values():
        for got, expected in zip(model.weights.get(name, ()), arrays, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_layers_with_weights_are_found_by_class_and_order_as_keras_numbers_them(read: Read) -> None:
    """A functional file may list its layers in another order than they are computed; Keras 3.0 writes no names."""
    entries = functional(input_layer(3), dense("a", 3), dense("b", 3))
    entries["config"]["layers"].reverse()
    entries["config"]["layers"].insert(0, entries["config"]["layers"].pop())
    groups = {"dense": ("b", [array(3, 3, seed=1), array(3)]), "dense_1": ("a", [array(3, 3, seed=2), array(3)])}

    def without_names(file: h5py.File) -> None:
        for group in groups:
            del file[f"layers/{group}/vars"].attrs["name"]

    for edit in (None, without_names):
        model = read(keras_file(entries, hdf5(groups, edit)))
        assert [one.name for one in model.architecture.layers] == ["a", "b"]
        np.testing.assert_array_equal(model.weights["a"][0], array(3, 3, seed=2))
        np.testing.assert_array_equal(model.weights["b"][0], array(3, 3, seed=1))


def test_every_other_layer_that_is_served_is_read() -> None:
    layers = read_layers(
        sequential(
            input_layer(16),
            layer("Reshape", "image", target_shape=[4, -1, 1]),
            conv2d("conv", 2, padding="same", strides=[2, 1], activation=None),
            layer("Activation", "rectified", activation="relu"),
            layer("Activation", "nothing", activation="linear"),
            pooling("pool", strides=None),
            layer("GlobalAveragePooling2D", "mean", data_format="channels_last", keepdims=False),
            dense("logits", 3, use_bias=False),
            layer("ReLU", "positive", max_value=None, negative_slope=0.0, threshold=0.0),
        )
    )
    expected = (
        Reshape("image", (4, 4, 1)),
        Conv2D("conv", 2, (3, 3), strides=(2, 1), padding="same"),
        Relu("rectified"),
        AveragePooling2D("pool", (2, 2), (2, 2)),
        GlobalAveragePooling2D("mean"),
        Dense("logits", 3, use_bias=False),
        Relu("positive"),
    )
    assert layers.architecture == Architecture((16,), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_weights_of_any_floating_point_type_are_read(read: Read, dtype: Any) -> None:
    groups = {key: (name, [a.astype(dtype) for a in arrays]) for key, (name, arrays) in small_groups().items()}
    model = read(small_file(groups=groups))
    np.testing.assert_allclose(model.weights["logits"][0], array(3, 4), atol=1e-2)


def test_a_compressed_archive_is_read(read: Read) -> None:
    model = read(small_file(compression=zipfile.ZIP_DEFLATED))
    np.testing.assert_array_equal(model.weights["logits"][0], array(3, 4))


def test_no_repr_shows_a_weight(read: Read) -> None:
    assert "array" not in repr(read(small_file()))


# --- layers that are refused --------------------------------------------------------------------------------------


def refused(*layers: dict[str, Any]) -> UnsupportedLayer:
    with pytest.raises(UnsupportedLayer) as error:
        read_layers(sequential(*layers))
    return error.value


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (layer("Multiply", "it"), "Multiply is not served; secrets are multiplied by weights only"),
        (layer("BatchNormalization", "it", axis=1, epsilon=1e-3, center=True, scale=True), "use axis=-1"),
        (layer("Lambda", "it", function="evil"), "no code of a model is ever run"),
        (layer("Softmax", "it", axis=1), "axis=1 is not served; use axis=-1"),
        (layer("Whatever", "it"), "Whatever is not served; served are InputLayer, Dense, Conv2D"),
        (layer("LSTM", "it"), "LSTM is not served; a recurrent layer"),
        (layer("Activation", "it", activation="gelu"), "activation 'gelu' is not served; use one of linear, relu"),
        (conv2d("it", 2, activation={"module": "keras.layers", "class_name": "ReLU"}), "add it as a layer"),
        (
            conv2d("it", 2, activation={"class_name": "function", "config": "mine", "registered_name": "mine"}),
            "activation mine is custom code",
        ),
        (conv2d("it", 2, activation={"value": ["4wEA", None, None]}), "activation an object is custom code"),
        (conv2d("it", 2, dilation_rate=[2, 2], strides=[2, 2]), "cannot both be above 1"),
        (conv2d("it", 2, groups=2), "1 channels and 2 filters do not divide into 2 groups"),
        (conv2d("it", 2, data_format="channels_first"), "use data_format='channels_last'"),
        (conv2d("it", 2, lora_rank=4), "the option 'lora_rank' of Conv2D is not known"),
        (conv2d("it", 2, padding="causal"), "padding cannot be 'causal'"),
        (conv2d("it", 0), "filters must be whole numbers"),
        (conv2d("it", "many"), "filters must be whole numbers"),
        (conv2d("it", 2, kernel_size=[3, 3, 3]), "kernel_size"),
        (conv2d("it", 2, kernel_size=[9, 9]), "larger than the image"),
        (pooling("it", padding="reflect"), "padding cannot be 'reflect'"),
        (layer("ReLU", "it", max_value=None, negative_slope=0.0, threshold=1.0), "threshold=1.0 is not served"),
        (layer("ReLU", "it", max_value=-1.0, negative_slope=0.0, threshold=0.0), "max_value cannot be -1.0"),
        (layer("Concatenate", "it", axis=0), "axis=0 is not served"),
        (layer("UpSampling2D", "it", size=[2, 2], interpolation="bilinear"), "use interpolation='nearest'"),
        (layer("Add", "it"), "Add takes 2 to 64 inputs, not 1"),
        (layer("Reshape", "it", target_shape=[5, -1]), "cannot be reshaped"),
        (layer("Reshape", "it", target_shape=[-1, -1]), "target_shape must be whole numbers"),
        (dense("it", 0), "units must be whole numbers"),
        (layer("Dense", "it", module="mine.layers", units=3), "Dense is a custom class of module 'mine.layers'"),
        ({**dense("it", 3), "registered_name": "mine>Dense"}, "mine>Dense is a custom class"),
    ],
)
def test_a_layer_that_is_not_served_is_refused_by_name_with_a_way_out(entry: dict[str, Any], text: str) -> None:
    error = refused(input_layer(8, 8, 1), entry)
    assert error.layer == "it"
    with pytest.raises(UnsupportedLayer, match=text):
        raise error


@pytest.mark.parametrize("shape", [(None, 28, 1), (), ("28", 28, 1)])
def test_an_input_shape_that_leaves_a_size_open_is_refused(shape: Any) -> None:
    assert "give every size but the batch" in str(refused(input_layer(*shape), flatten()))


def test_a_model_without_an_input_layer_is_refused() -> None:
    assert "begin it with keras.Input" in str(refused(flatten()))
    assert "begin it with keras.Input" in str(refused())


def test_a_model_class_of_its_own_is_refused() -> None:
    document = sequential(*small_layers())
    for change in ({"class_name": "MyModel"}, {"registered_name": "mine>Sequential"}, {"config": None}):
        with pytest.raises(UnsupportedLayer):
            read_layers({**document, **change})


@pytest.mark.parametrize(
    "feeds",
    [
        {"c": ["a"]},  # b leads nowhere
        {"c": ["b", "a"]},  # two inputs of a layer that takes one
        {"b": ["c"], "c": ["b"]},  # a circle
        {"b": []},
    ],
)
def test_a_graph_that_does_not_fit_is_refused(feeds: dict[str, list[str]]) -> None:
    with pytest.raises(UnsupportedLayer, match=r"a model of one input and one output|has one input"):
        read_layers(functional(input_layer(4, name="input"), dense("a", 4), dense("b", 4), dense("c", 4), feeds=feeds))


def test_a_skip_connection_is_read() -> None:
    document = functional(
        input_layer(4, name="input"),
        dense("a", 4, activation="relu"),
        layer("Add", "sum"),
        feeds={"sum": ["a", "input"]},
    )
    sum_of = read_layers(document).architecture.layers[-1]
    assert sum_of == Add("sum", inputs=("a/relu", "(input)"))


def test_a_model_in_a_model_is_taken_apart() -> None:
    inner = sequential(input_layer(3, name="inner_input"), dense("a", 3, activation="tanh"))
    outer = read_layers(sequential(input_layer(3), inner, dense("a", 2)))
    assert [one.name for one in outer.architecture.layers] == ["sequential/a", "sequential/a/tanh", "a"]
    assert outer.groups["sequential/a"] == "layers/sequential/layers/dense"
    assert outer.groups["a"] == "layers/dense"


def test_the_last_softmax_is_the_clients_and_one_before_the_end_is_refused() -> None:
    architecture = read_layers(sequential(input_layer(3), dense("a", 3, activation="softmax"))).architecture
    assert architecture.clients_layer == architecture.layers[-1] == Softmax("a/softmax", inputs=("a",))
    error = refused(input_layer(3), dense("a", 3, activation="softmax"), dense("b", 3))
    assert "layer 'a/softmax': Softmax is the client's, so it must be the last layer" in str(error)


def test_every_layer_that_is_refused_is_named() -> None:
    error = refused(
        input_layer(8, 1),
        layer("LSTM", "memory", units=3),
        layer("Lambda", "code", function="evil"),
        dense("fine", 3),
        dense("odd", 3, activation="gelu"),
    )
    assert [error.layer, *(other.layer for other in error.others)] == ["memory", "code", "odd"]
    assert "layer 'memory': LSTM" in str(error)
    assert "layer 'odd': activation 'gelu'" in str(error)


def test_layers_outside_the_chain_are_refused_even_in_a_circle() -> None:
    layers = [input_layer(4, name="input"), dense("a", 4), dense("b", 4), dense("c", 4)]
    document = functional(*layers, feeds={"b": ["c"], "c": ["b"]})
    document["config"]["output_layers"] = ["a", 0, 0]
    with pytest.raises(UnsupportedLayer, match="does not lead to the output"):
        read_layers(document)


def test_a_layer_that_was_called_for_training_is_refused() -> None:
    document = functional(input_layer(4), layer("Dropout", "drop", rate=0.5), dense("a", 4))
    document["config"]["layers"][1]["inbound_nodes"][0]["kwargs"] = {"training": True}
    with pytest.raises(UnsupportedLayer, match="layer 'drop'"):
        read_layers(document)


@pytest.mark.parametrize(
    "change", [{"input_layers": [["a", 0, 0]]}, {"output_layers": [["a", 0, 0], ["b", 0, 0]]}, {"output_layers": None}]
)
def test_a_graph_with_other_ends_than_its_chain_is_refused(change: dict[str, Any]) -> None:
    document = functional(input_layer(4, name="input"), dense("a", 4), dense("b", 4))
    document["config"] |= change
    with pytest.raises(UnsupportedLayer, match=r"a model of one input and one output|has one input"):
        read_layers(document)


# --- files that are refused ---------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"nothing\.keras: does not exist"):
        read_model(tmp_path / "nothing.keras")
    with pytest.raises(SourceNotFound, match="is a directory"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x89PNG\r\n", "no zip archive and no HDF5 file"),
        (b"\x89HDF\r\n\x1a\n....", "HDF5 content cannot be read"),
        (small_file(version="1.2.2"), "Keras '1.2.2', and Keras 2 or 3 is needed"),
        (small_file(without="config.json"), "exactly metadata.json, config.json, model.weights.h5"),
        (small_file(extra={"../../evil.py": b""}), "and contains .*'../../evil.py'"),
        (keras_file(b"{", hdf5(small_groups())), "config.json is no JSON"),
        (keras_file(b"[" * 100_000, hdf5(small_groups())), "config.json is no JSON"),
        (keras_file(b"[]", hdf5(small_groups())), "config.json is no JSON object"),
        (keras_file(sequential(*small_layers()), b"not hdf5" * 100), "HDF5 content cannot be read"),
    ],
)
def test_what_is_no_keras_3_file_is_refused(read: Read, content: bytes, text: str) -> None:
    with pytest.raises(NotAKerasFile, match=text):
        read(content)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_called_so(read: Read, share: float) -> None:
    content = small_file()
    with pytest.raises(TruncatedFile):
        read(content[: int(len(content) * share)])


def test_truncated_weights_are_called_so(read: Read) -> None:
    weights = hdf5(small_groups())
    with pytest.raises(TruncatedFile):
        read(keras_file(sequential(*small_layers()), weights[: len(weights) // 2]))


def test_a_changed_byte_is_noticed(read: Read) -> None:
    content = bytearray(small_file())
    content[content.index(b'"filters": 2') + 11] = ord("3")
    with pytest.raises(TruncatedFile):
        read(bytes(content))


def test_a_zip_bomb_is_not_unpacked(read: Read) -> None:
    bomb = keras_file(sequential(*small_layers()), b"\0" * 2**24, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**16
    with pytest.raises(NotAKerasFile, match="more than 100 times"):
        read(bomb)


def test_a_member_beyond_its_bound_is_not_unpacked(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triveni.sharing.keras_archive.MEMBERS", {**_members(), "config.json": 100})
    with pytest.raises(NotAKerasFile, match=r"config.json unpacks to .* at most 100 are read"):
        read(small_file())


def _members() -> dict[str, int]:
    from triveni.sharing.keras_archive import MEMBERS

    return dict(MEMBERS)


def test_a_model_with_too_many_weights_is_refused_before_they_are_read(read: Read) -> None:
    layers = [input_layer(4000), *(dense(f"d{n}", 4000) for n in range(5))]
    with pytest.raises(NotAKerasFile, match="has 80020000 weights"):
        read(keras_file(sequential(*layers), hdf5({})))


def test_the_digest_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(small_file())
    right = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert read_model(path, right).architecture == SMALL
    with pytest.raises(DigestMismatch, match=right):
        read_model(path, "sha256:" + "0" * 64)


# --- weights that are refused -------------------------------------------------------------------------------------


def replaced(group: str, variable: str, values: Any) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        variables = file[f"layers/{group}/vars"]
        if variable in variables:
            del variables[variable]
        if values is not None:
            variables[variable] = values

    return edit


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (replaced("dense", "0", array(4, 3)), r"'logits': kernel is of shape \(4, 3\), but of shape \(3, 4\)"),
        (replaced("dense", "1", array(5)), r"'logits': bias is of shape \(5,\), but of shape \(4,\)"),
        (replaced("dense", "1", None), r"number of its variables is 1, but 2 \(kernel, bias\) is expected"),
        (replaced("dense", "2", array(4)), "number of its variables is 3"),
        (replaced("conv2d_1", "0", array(3, 3, 2, 3).astype(np.int8)), "'second': kernel is of type int8"),
        (replaced("dense", "0", "text"), "kernel is"),
    ],
)
def test_a_variable_that_does_not_fit_its_layer_is_named(read: Read, edit: Any, text: str) -> None:
    with pytest.raises(ShapeMismatch, match=text):
        read(small_file(edit))


def test_a_layer_without_weights_in_the_file_is_named(read: Read) -> None:
    groups = small_groups()
    del groups["conv2d_1"]
    with pytest.raises(ShapeMismatch, match="layer 'second': its weights is missing"):
        read(small_file(groups=groups))


def test_weights_that_are_labelled_as_another_layers_are_refused(read: Read) -> None:
    groups = small_groups()
    groups["conv2d"] = ("second", groups["conv2d"][1])
    with pytest.raises(ShapeMismatch, match="labelled 'second'"):
        read(small_file(groups=groups))


@pytest.mark.parametrize(("value", "problem"), [(np.nan, "is NaN"), (np.inf, "is infinite"), (-np.inf, "is infinite")])
def test_a_weight_that_is_no_number_is_named(read: Read, value: float, problem: str) -> None:
    kernel = array(3, 4)
    kernel[2, 1] = value
    with pytest.raises(ValueOutOfRange, match=rf"weight logits/kernel\[2, 1\] {problem}"):
        read(small_file(replaced("dense", "0", kernel)))


def external_dataset(file: h5py.File, path: Path) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_dataset("0", (3, 4), "f4", external=[(str(path), 0, 48)])


def external_link(file: h5py.File, path: Path) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink(str(path), "/stolen")


def soft_link(file: h5py.File, path: Path) -> None:
    file["elsewhere"] = file["layers/dense"]
    del file["layers/dense"]
    file["layers/dense"] = h5py.SoftLink("/elsewhere")


def soft_link_to_a_variable(file: h5py.File, path: Path) -> None:
    file["elsewhere"] = file["layers/dense/vars/0"]
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.SoftLink("/elsewhere")


def virtual_dataset(file: h5py.File, path: Path) -> None:
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource(str(path), "stolen", (3, 4))
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


@pytest.mark.parametrize(
    "trick", [external_dataset, external_link, soft_link, soft_link_to_a_variable, virtual_dataset]
)
def test_weights_that_lead_into_another_file_are_not_followed(read: Read, tmp_path: Path, trick: Any) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["stolen"] = array(3, 4)
    with pytest.raises((NotAKerasFile, ShapeMismatch)):
        read(small_file(lambda file: trick(file, secret)))
