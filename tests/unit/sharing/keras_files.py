"""Keras 3 files made by hand, as Keras writes them, so that each can be wrong in one place."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


def layer(kind: str, name: str, module: str = "keras.layers", **options: Any) -> dict[str, Any]:
    config = {"name": name, "trainable": True, "dtype": POLICY, **options}
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def input_layer(*shape: int | None, name: str = "input_layer") -> dict[str, Any]:
    options = {"batch_shape": [None, *shape], "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": options, "registered_name": None}


def conv2d(name: str, filters: int, **options: Any) -> dict[str, Any]:
    defaults = {
        "filters": filters,
        "kernel_size": [3, 3],
        "strides": [1, 1],
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "groups": 1,
        "activation": "linear",
        "use_bias": True,
        "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {}},
        "kernel_regularizer": None,
    }
    return layer("Conv2D", name, **{**defaults, **options})


def dense(name: str, units: int, **options: Any) -> dict[str, Any]:
    defaults = {"units": units, "activation": "linear", "use_bias": True, "quantization_config": None}
    return layer("Dense", name, **{**defaults, **options})


def pooling(name: str, **options: Any) -> dict[str, Any]:
    defaults = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": "channels_last"}
    return layer("AveragePooling2D", name, **{**defaults, **options})


def flatten(name: str = "flatten", **options: Any) -> dict[str, Any]:
    return layer("Flatten", name, data_format="channels_last", **options)


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    config = {"name": "sequential", "trainable": True, "dtype": POLICY, "layers": list(layers)}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def functional(*layers: dict[str, Any], feeds: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """A chain, unless `feeds` gives other inputs of a layer by its name."""
    entries = []
    names = [entry["config"]["name"] for entry in layers]
    for position, entry in enumerate(layers):
        inputs = (feeds or {}).get(names[position], names[position - 1 : position])
        tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in inputs]
        nodes = [{"args": tensors, "kwargs": {}}] if position else []
        entries.append({**entry, "name": names[position], "inbound_nodes": nodes})
    config = {
        "name": "functional",
        "trainable": True,
        "layers": entries,
        "input_layers": [[names[0], 0, 0]],
        "output_layers": [[names[-1], 0, 0]],
    }
    module = "keras.src.models.functional"
    return {"module": module, "class_name": "Functional", "config": config, "registered_name": "Functional"}


Groups = Mapping[str, tuple[str, list[NDArray[Any]]]]
"""For each group of the weights file the name of its layer, and its variables."""


def hdf5(groups: Groups, edit: Callable[[h5py.File], None] | None = None) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for group, (name, arrays) in groups.items():
            variables = file.create_group(f"layers/{group}/vars")
            variables.attrs["name"] = name
            for position, array in enumerate(arrays):
                variables[str(position)] = array
        if edit is not None:
            edit(file)
    return buffer.getvalue()


def keras_file(
    config: Mapping[str, Any] | bytes,
    weights: bytes,
    *,
    version: str = "3.15.1",
    extra: Mapping[str, bytes] | None = None,
    without: str = "",
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    members = {
        "metadata.json": json.dumps({"keras_version": version, "date_saved": "2026-01-01@00:00:00"}).encode(),
        "config.json": config if isinstance(config, bytes) else json.dumps(config).encode(),
        "model.weights.h5": weights,
        **(extra or {}),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            if name != without:
                archive.writestr(name, content)
    return buffer.getvalue()


def array(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def small_layers() -> list[dict[str, Any]]:
    return [
        input_layer(8, 8, 1),
        conv2d("first", 2, activation="relu"),
        pooling("pool"),
        conv2d("second", 3, use_bias=False),
        flatten(),
        layer("Dropout", "dropout", rate=0.5, seed=None, noise_shape=None),
        dense("logits", 4),
    ]


def small_groups() -> dict[str, tuple[str, list[NDArray[Any]]]]:
    return {
        "conv2d": ("first", [array(3, 3, 1, 2), array(2)]),
        "conv2d_1": ("second", [array(3, 3, 2, 3)]),
        "flatten": ("flatten", []),
        "dense": ("logits", [array(3, 4), array(4)]),
    }


def small_file(edit: Callable[[h5py.File], None] | None = None, groups: Groups | None = None, **options: Any) -> bytes:
    return keras_file(sequential(*small_layers()), hdf5(groups or small_groups(), edit), **options)
