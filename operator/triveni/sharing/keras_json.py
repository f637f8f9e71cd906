"""The layers of a model as JSON, in whichever form a Keras wrote it, read as the form of Keras 3.

There are three: `config.json` of a `.keras` file and `model.to_json()` of Keras 3; the same without module names, which
Keras 3 writes into an HDF5 file; and that of Keras 2, with `batch_input_shape` and inbound nodes as lists. What is not
understood here is left as it is, for `keras_layers` to refuse it by name. No name in it is ever imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from triveni.sharing.failures import NotAKerasFile

MAX_BYTES = 2**24
"""Most bytes of such JSON that are read; a network of a thousand layers has 2 MB."""

MAX_DEPTH = 8
"""Of models inside models."""

Config = Mapping[str, Any]


def read_object(data: bytes | str, what: str, source: str) -> Config:
    """A JSON object; `what` and `source` say for messages which one, and of which file.

    Raises:
        NotAKerasFile: it is none, or nested too deep.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotAKerasFile(source, f"{what} is no JSON") from error
    if not isinstance(document, dict):
        raise NotAKerasFile(source, f"{what} is no JSON object")
    return document


def check_version(version: object, backend: object, source: str) -> None:
    """Check who wrote a file.

    Raises:
        NotAKerasFile: not a Keras whose files are known here.
    """
    if not isinstance(version, str) or not version.startswith(("2.", "3.")):
        raise NotAKerasFile(source, f"it was written by Keras {version!r:.40}, and Keras 2 or 3 is needed")
    # Keras 2 on Theano stores the kernels of convolutions turned around.
    if version.startswith("2.") and backend not in (None, "tensorflow"):
        way_out = "Load it with that Keras, and save it again on TensorFlow"
        raise NotAKerasFile(
            source, f"it was written by Keras {version:.40} on {backend!r:.40}, not TensorFlow", way_out
        )


def as_keras_3(document: Config, source: str) -> Config:
    """The layers of a model in the form of Keras 3, whose `config` holds `layers`.

    Raises:
        NotAKerasFile: it is no model, or was written by a Keras that is not known here.
    """
    if "class_name" not in document:
        raise NotAKerasFile(source, "its JSON describes no model of Keras")
    if "keras_version" in document:
        check_version(document["keras_version"], document.get("backend"), source)
    return _model(document, 0)


def _model(document: Config, depth: int) -> Config:
    """A model, the outermost or one inside another."""
    inner = document.get("config")
    if isinstance(inner, list):  # a Sequential of Keras before 2.2.3
        inner = {"layers": inner}
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list) or depth > MAX_DEPTH:
        return document
    entries = inner["layers"]
    models = frozenset(str(entry.get("name")) for entry in entries if isinstance(entry, dict) and _is_model(entry))
    layers = [_layer(entry, depth, models) if isinstance(entry, dict) else entry for entry in entries]
    kind = document["class_name"]
    if kind == "Sequential":
        layers = _input(entries) + layers
    elif kind == "Model" and document.get("registered_name") is None:  # the functional model of Keras before 2.4
        kind = "Functional"
    ends = {}
    if any(_is_of_old(node) for entry in entries if isinstance(entry, dict) for node in _nodes(entry)):
        ends = {end: _end(inner.get(end), models) for end in ("input_layers", "output_layers")}
    return {**document, "class_name": kind, "config": {**inner, **ends, "layers": layers}}


def _is_model(entry: Config) -> bool:
    return entry.get("class_name") in ("Sequential", "Functional", "Model") and entry.get("config") is not None


def _nodes(entry: Config) -> list[Any]:
    nodes = entry.get("inbound_nodes")
    return nodes if isinstance(nodes, list) else []


def _layer(entry: Config, depth: int, models: frozenset[str]) -> Config:
    changed = dict(entry)
    kind = entry.get("class_name")
    if "module" not in entry and "registered_name" not in entry:
        # A class that somebody registered is named PACKAGE>CLASS; every other is Keras's own, as Keras reads it.
        custom = isinstance(kind, str) and ">" in kind
        changed |= {"module": None if custom else "keras.layers", "registered_name": kind if custom else None}
    config = entry.get("config")
    if _is_model(entry):
        changed = dict(_model(changed, depth + 1))
    elif isinstance(config, dict):
        changed["config"] = _options(kind, config)
    if nodes := _nodes(entry):
        changed["inbound_nodes"] = [_node(node, models) if _is_of_old(node) else node for node in nodes]
    return changed


def _options(kind: object, config: Config) -> Config:
    """The options of a layer of Keras 2 under the names, and with the defaults, that Keras 3 has for them."""
    changed = dict(config)
    shape = changed.pop("batch_input_shape", None)
    match kind:
        case "InputLayer":
            changed.setdefault("batch_shape", shape)
        case "Conv1D" | "Conv2D":
            changed.setdefault("groups", 1)
        case "DepthwiseConv1D" | "DepthwiseConv2D" | "SeparableConv1D" | "SeparableConv2D":
            if changed.get("groups") == 1:
                del changed["groups"]
        case "BatchNormalization":
            if isinstance(axis := changed.get("axis"), list) and len(axis) == 1:
                changed["axis"] = axis[0]
        case "LeakyReLU" if "alpha" in changed:
            changed["negative_slope"] = changed.pop("alpha")
        case str() if kind.startswith("Global"):
            changed.setdefault("keepdims", False)
    return changed


def _input(entries: list[Any]) -> list[Config]:
    """The InputLayer that a Sequential of old does without, since its first layer knows the shape."""
    match entries:
        case [{"class_name": str(kind), "config": {"batch_input_shape": list(shape)}}, *_] if kind != "InputLayer":
            config = {"name": "input", "batch_shape": shape, "sparse": False, "ragged": False}
            return [{"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}]
    return []


def _is_of_old(node: Any) -> bool:
    """Whether a node is ``[[name, call, output, options], ...]``, as Keras 2 writes it."""
    return isinstance(node, list) and bool(node) and all(_reference(reference) for reference in node)


def _reference(reference: Any) -> tuple[str, int, int, Config] | None:
    match reference:
        case [str(name), int(call), int(output)]:
            return name, call, output, {}
        case [str(name), int(call), int(output), dict(options)]:
            return name, call, output, options
    return None


def _node(node: list[Any], models: frozenset[str]) -> Config:
    """A node of Keras 2 as the arguments of a call."""
    tensors: list[Config] = []
    options: dict[str, Any] = {}
    for name, call, output, given in filter(None, map(_reference, node)):
        history = [name, _call(name, call, models), output]
        tensors.append({"class_name": "__keras_tensor__", "config": {"keras_history": history}})
        options |= given
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": options}


def _end(references: Any, models: frozenset[str]) -> Any:
    """The inputs or outputs of a model of Keras 2."""
    if not isinstance(references, list) or not _is_of_old(references):
        return references
    return [
        [name, _call(name, call, models), output] for name, call, output, _ in filter(None, map(_reference, references))
    ]


def _call(name: str, call: int, models: frozenset[str]) -> int:
    """In Keras 2 the first call of a model inside another is number 1: its own making was number 0."""
    return call - 1 if name in models else call
