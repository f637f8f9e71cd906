"""The layers of a Keras 3 file: its JSON read as an `Architecture`, or a refusal that names the layer.

Only what is listed here is understood, layer by layer and option by option; everything else is refused, since an
option that is passed over is a silent wrong answer. No name in the file is ever imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triveni.mpc.architecture import FORMAT, Architecture, InvalidArchitecture
from triveni.sharing.failures import UnsupportedLayer

Config = Mapping[str, Any]
LayerDocument = dict[str, Any]

EXPORT_LOGITS = "export the model with logits (no activation at the end), and apply it in the client"


@dataclass(frozen=True)
class Kind:
    """What is known of one Keras layer class.

    Args:
        layers: makes the architecture's layers, as documents, from the checked configuration and the shape of a row.
        used: the options that `layers` reads.
        fixed: the options that must have one of these values, since no other is computed here.
        group: the prefix of the layer's group in the weights file; empty for layers without weights.
        ignored: options that change nothing at inference.
    """

    layers: Callable[[Config, tuple[int, ...]], list[LayerDocument]]
    used: frozenset[str] = frozenset()
    fixed: Mapping[str, tuple[Any, ...]] | None = None
    group: str = ""
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ReadLayers:
    """The architecture, and for each of its layers with weights the group that holds them in the weights file."""

    architecture: Architecture
    groups: Mapping[str, str]


def read_layers(config: Config) -> ReadLayers:
    """Read config.json.

    Raises:
        UnsupportedLayer: a layer, an option or a shape of graph that is not computed on shares.
    """
    chain = list(_chain(config))
    shape = _input_shape(chain[0])
    documents: list[LayerDocument] = []
    for entry in chain[1:]:
        documents += _documents(entry, _shape_after(shape, documents))
    return ReadLayers(_architecture(shape, documents), _groups(config["config"]["layers"]))


def _architecture(shape: tuple[int, ...], documents: Sequence[LayerDocument]) -> Architecture:
    try:
        return Architecture.from_document({"format": FORMAT, "input": list(shape), "layers": list(documents)})
    except InvalidArchitecture as error:
        raise UnsupportedLayer(error.layer, error.problem) from error


def _shape_after(shape: tuple[int, ...], documents: Sequence[LayerDocument]) -> tuple[int, ...]:
    return _architecture(shape, documents).output_shape if documents else shape


# --- the graph ----------------------------------------------------------------------------------------------------


def _chain(config: Config) -> Iterator[Config]:
    """The layers in the order of computation; the first one is the InputLayer."""
    kind = config.get("class_name")
    inner = config.get("config") or {}
    if kind not in ("Sequential", "Functional") or config.get("registered_name") not in (None, kind):
        raise UnsupportedLayer(
            str(kind), "a model class of its own, whose computation is code", "use Sequential or a functional model"
        )
    entries = inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise UnsupportedLayer(str(kind), "config.json has no list of layers", "save the model again")
    if not entries or entries[0]["class_name"] != "InputLayer":
        name = _name(entries[0]) if entries else "(none)"
        raise UnsupportedLayer(
            name, "the model has no fixed input shape", "begin it with keras.Input((height, width, channels))"
        )
    return iter(entries) if kind == "Sequential" else _functional_chain(inner, entries)


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("class_name"), str)
        and isinstance(entry.get("config"), dict)
        and isinstance(entry["config"].get("name"), str)
    )


def _functional_chain(model: Config, entries: Sequence[Config]) -> Iterator[Config]:
    plain = "only a plain chain of layers, each with one input, is served"
    follower: dict[str, Config] = {}
    for entry in entries[1:]:
        name = _name(entry)
        before = _predecessor(entry)
        if before is None:
            raise UnsupportedLayer(
                name, "it has more than one input, is used more than once, or with call options", plain
            )
        if before in follower:
            raise UnsupportedLayer(before, f"it feeds '{_name(follower[before])}' as well as '{name}'", plain)
        follower[before] = entry
    chain = [entries[0]]
    while (following := follower.pop(_name(chain[-1]), None)) is not None:
        chain.append(following)
    if follower:
        raise UnsupportedLayer(_name(next(iter(follower.values()))), "it does not lead to the output", plain)
    for end, key in (chain[0], "input_layers"), (chain[-1], "output_layers"):
        if _reference(model.get(key)) != _name(end):
            raise UnsupportedLayer(_name(end), f"it is not the only one of the model's {key}", plain)
    return iter(chain)


def _predecessor(entry: Config) -> str | None:
    """The name of the one layer whose only output feeds this one; None if there is no such."""
    match entry.get("inbound_nodes"):
        case [{"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": history}}], **rest}]:
            options = rest.get("kwargs", {})
            if isinstance(options, dict) and not any(options.values()):
                return _reference(history)
    return None


def _reference(value: Any) -> str | None:
    """``[name, 0, 0]``, or that in a list of one, as Keras writes the only tensor of a layer."""
    match value:
        case [str(name), 0, 0] | [[str(name), 0, 0]]:
            return name
    return None


def _groups(entries: Sequence[Config]) -> Mapping[str, str]:
    """Where Keras puts each layer's weights: under its class name, numbered in the order of the file."""
    seen: dict[str, int] = {}
    groups: dict[str, str] = {}
    for entry in entries:
        kind = KINDS.get(entry["class_name"])
        if kind and kind.group:
            number = seen[kind.group] = seen.get(kind.group, -1) + 1
            groups[_name(entry)] = f"layers/{kind.group}_{number}" if number else f"layers/{kind.group}"
    return groups


# --- one layer ----------------------------------------------------------------------------------------------------


def _name(entry: Config) -> str:
    return str(entry["config"]["name"])


def _input_shape(entry: Config) -> tuple[int, ...]:
    config = entry["config"]
    shape = config.get("batch_shape")
    if not isinstance(shape, list) or len(shape) < 2 or any(type(size) is not int for size in shape[1:]):
        raise UnsupportedLayer(
            _name(entry),
            f"its input shape {shape!r:.60} leaves a size open",
            "the program is compiled for one shape: give every size but the batch, as in keras.Input((28, 28, 1))",
        )
    _check_options(entry, frozenset({"batch_shape"}), {"sparse": (False,), "ragged": (False,)}, frozenset({"optional"}))
    return tuple(shape[1:])


def _documents(entry: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    name, kind = _name(entry), entry["class_name"]
    registered = entry.get("registered_name")
    if entry.get("module") != "keras.layers" or registered not in (None, kind):
        raise UnsupportedLayer(
            name,
            f"{registered or kind!s:.80} is a custom class of module {entry.get('module')!r:.80},"
            " and no code of a model is ever run",
            f"build the model from {SUPPORTED}",
        )
    if kind not in KINDS:
        raise UnsupportedLayer(name, f"{kind:.80} is not served", HINTS.get(kind, f"served are {SUPPORTED}"))
    known = KINDS[kind]
    _check_options(entry, known.used, known.fixed or {}, known.ignored)
    return known.layers(entry["config"], shape)


HARMLESS = frozenset(
    {
        "name",
        "trainable",
        "dtype",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    }
)
"""Options of any layer that concern training, or how numbers are stored while training."""


def _check_options(
    entry: Config, used: frozenset[str], fixed: Mapping[str, tuple[Any, ...]], ignored: frozenset[str]
) -> None:
    """Refuse every option that would change the result and is not computed here."""
    for option, value in entry["config"].items():
        if option in fixed:
            if value not in fixed[option]:
                raise UnsupportedLayer(
                    _name(entry),
                    f"{option}={value!r:.60} is not served",
                    f"use {option}={_short(fixed[option][0])}",
                )
        elif option not in used | ignored | HARMLESS and value is not None:
            raise UnsupportedLayer(
                _name(entry), f"the option {option!r:.60} of {entry['class_name']} is not known", "leave it out"
            )


def _short(value: Any) -> str:
    return repr(tuple(value) if isinstance(value, list) else value)


def _with_activation(document: LayerDocument, config: Config) -> list[LayerDocument]:
    """The layer, and its activation as a layer of its own."""
    if _is_relu(config):
        return [document, {"kind": "Relu", "name": f"{config['name']}/relu"}]
    return [document]


def _is_relu(config: Config) -> bool:
    """Whether the activation is relu; if not it is linear: UnsupportedLayer for any other."""
    activation = config.get("activation")
    if activation is None or activation == "linear":
        return False
    if activation == "relu":
        return True
    if isinstance(activation, str):
        way_out = EXPORT_LOGITS if activation in ("softmax", "sigmoid", "log_softmax") else "use relu or none"
        raise UnsupportedLayer(config["name"], f"activation {activation!r:.60} is not served", way_out)
    named = activation.get("registered_name") or activation.get("config") if isinstance(activation, dict) else None
    what = named if isinstance(named, str) else "an object"
    raise UnsupportedLayer(
        config["name"], f"activation {what:.60} is custom code, which is never run", "use 'relu' or none"
    )


def _dense(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    document = {"kind": "Dense", **_take(config, "name", "units", "use_bias")}
    return _with_activation(document, config)


def _conv2d(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    options = _take(config, "name", "filters", "kernel_size", "strides", "padding", "use_bias")
    return _with_activation({"kind": "Conv2D", **options}, config)


def _average_pooling(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    options = _take(config, "name", "pool_size", "strides")
    if options["strides"] is None:
        options["strides"] = options["pool_size"]
    return [{"kind": "AveragePooling2D", **options}]


def _global_average_pooling(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    return [{"kind": "GlobalAveragePooling2D", **_take(config, "name")}]


def _flatten(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    return [{"kind": "Flatten", **_take(config, "name")}]


def _reshape(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    options = _take(config, "name", "target_shape")
    target = options["target_shape"]
    if isinstance(target, list) and target.count(-1) == 1 and all(type(size) is int for size in target):
        known = math.prod(size for size in target if size != -1)
        if known > 0:
            options["target_shape"] = [math.prod(shape) // known if size == -1 else size for size in target]
    return [{"kind": "Reshape", **options}]


def _activation(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    return _relu(config, shape) if _is_relu(config) else []


def _relu(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    return [{"kind": "Relu", **_take(config, "name")}]


def _nothing(config: Config, shape: tuple[int, ...]) -> list[LayerDocument]:
    return []


def _take(config: Config, *options: str) -> LayerDocument:
    return {option: config.get(option) for option in options}


CHANNELS_LAST: Mapping[str, tuple[Any, ...]] = {"data_format": ("channels_last",)}

KINDS: Mapping[str, Kind] = {
    "Dense": Kind(_dense, frozenset({"units", "use_bias", "activation"}), group="dense"),
    "Conv2D": Kind(
        _conv2d,
        frozenset({"filters", "kernel_size", "strides", "padding", "use_bias", "activation"}),
        {**CHANNELS_LAST, "dilation_rate": ([1, 1],), "groups": (1,)},
        group="conv2d",
    ),
    "AveragePooling2D": Kind(
        _average_pooling, frozenset({"pool_size", "strides"}), {**CHANNELS_LAST, "padding": ("valid",)}
    ),
    "GlobalAveragePooling2D": Kind(_global_average_pooling, fixed={**CHANNELS_LAST, "keepdims": (False,)}),
    "Flatten": Kind(_flatten, fixed=CHANNELS_LAST),
    "Reshape": Kind(_reshape, frozenset({"target_shape"})),
    "Activation": Kind(_activation, frozenset({"activation"})),
    "ReLU": Kind(_relu, fixed={"max_value": (None,), "negative_slope": (0.0,), "threshold": (0.0,)}),
    "Dropout": Kind(_nothing, ignored=frozenset({"rate", "seed", "noise_shape"})),
}

SUPPORTED = ", ".join(("InputLayer", *KINDS)) + " (activations relu and linear)"

HINTS: Mapping[str, str] = {
    "MaxPooling2D": "use AveragePooling2D: a maximum of shares costs as much as a ReLU for each pixel",
    "BatchNormalization": "fold it into the weights of the layer before it and save the model without it",
    "Softmax": EXPORT_LOGITS,
    "Lambda": "it carries code, and no code of a model is ever run",
    "DepthwiseConv2D": "use Conv2D",
    "SeparableConv2D": "use Conv2D",
    "ZeroPadding2D": "use padding='same' in the Conv2D after it",
    "Rescaling": "scale the inputs before they are predicted",
    "LeakyReLU": "use ReLU",
    "Sequential": "a model inside a model: put its layers into the outer one",
    "Functional": "a model inside a model: put its layers into the outer one",
}
