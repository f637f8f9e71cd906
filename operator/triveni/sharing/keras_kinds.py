"""The Keras layers that are understood: of each class its options, and the architecture's layers that it becomes.

An option is used, must have a value that is computed here, or changes nothing at inference. There is no fourth way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triveni.sharing.failures import UnsupportedLayer
from triveni.sharing.keras_activations import ACTIVATIONS, activation_of
from triveni.sharing.keras_graph import Config

Shape = tuple[int, ...]
LayerDocument = dict[str, Any]
"""A layer of the architecture without its name and inputs; `suffix` is put behind the name of the Keras layer."""

Read = Callable[[Config, Sequence[Shape]], LayerDocument | None]


@dataclass(frozen=True)
class Kind:
    """What is known of one Keras layer class.

    Args:
        read: makes the architecture's layer from the checked configuration and the shapes of a row of its inputs; None
            if it does nothing.
        used: the options that `read` reads.
        fixed: the options that must have one of these values, since no other is computed here.
        ignored: options that change nothing at inference.
    """

    read: Read
    used: frozenset[str] = frozenset()
    fixed: Mapping[str, tuple[Any, ...]] | None = None
    ignored: frozenset[str] = frozenset()


def check_input(name: str, entry: Config) -> Shape:
    """The shape of a row that an InputLayer declares.

    Raises:
        UnsupportedLayer: it leaves a size open, or has another option.
    """
    shape = entry["config"].get("batch_shape")
    if not isinstance(shape, list) or len(shape) < 2 or any(type(size) is not int or size < 1 for size in shape[1:]):
        raise UnsupportedLayer(
            name,
            f"its input shape {shape!r:.60} leaves a size open",
            "the program is compiled for one shape: give every size but the batch, as in keras.Input((28, 28, 1))",
        )
    _check_options(name, entry, Kind(_nothing, frozenset({"batch_shape"}), {"sparse": (False,), "ragged": (False,)}))
    return tuple(shape[1:])


def check_entry(name: str, entry: Config) -> None:
    """Refuse what can be refused without knowing the shapes of its inputs.

    Raises:
        UnsupportedLayer: a class or an option that is not computed here.
    """
    kind, registered = entry["class_name"], entry.get("registered_name")
    if entry.get("module") != "keras.layers" or registered not in (None, kind):
        raise UnsupportedLayer(
            name,
            f"{registered or kind!s:.80} is a custom class of module {entry.get('module')!r:.80},"
            " and no code of a model is ever run",
            f"build the model from {SUPPORTED}",
        )
    if kind not in KINDS:
        raise UnsupportedLayer(name, f"{kind:.80} is not served", HINTS.get(kind, f"served are {SUPPORTED}"))
    _check_options(name, entry, KINDS[kind])
    if "activation" in KINDS[kind].used:
        activation_of(name, entry["config"].get("activation"))


def read_entry(name: str, entry: Config, shapes: Sequence[Shape]) -> list[LayerDocument]:
    """The architecture's layers of a checked Keras layer, the activation in it as a layer of its own."""
    kind = KINDS[entry["class_name"]]
    document = kind.read(entry["config"], shapes)
    documents = [] if document is None else [document]
    if "activation" in kind.used and (activation := activation_of(name, entry["config"].get("activation"))):
        suffix = f"/{activation['kind'].lower()}" if documents else ""
        documents.append({**activation, "suffix": suffix})
    return documents


HARMLESS = frozenset(
    {
        "name",
        "trainable",
        "dtype",
        "optional",
        "activity_regularizer",
        *(
            f"{weight}_{what}"
            for weight in (
                "kernel",
                "bias",
                "depthwise",
                "pointwise",
                "beta",
                "gamma",
                "moving_mean",
                "moving_variance",
            )
            for what in ("initializer", "regularizer", "constraint")
        ),
    }
)
"""Options of any layer that concern training, or how numbers are stored while training."""


def _check_options(name: str, entry: Config, kind: Kind) -> None:
    """Refuse every option that would change the result and is not computed here."""
    fixed = kind.fixed or {}
    for option, value in entry["config"].items():
        if option in fixed:
            if value not in fixed[option]:
                raise UnsupportedLayer(
                    name, f"{option}={value!r:.60} is not served", f"use {option}={_short(fixed[option][0])}"
                )
        elif option not in kind.used | kind.ignored | HARMLESS and value is not None:
            raise UnsupportedLayer(
                name, f"the option {option!r:.60} of {entry['class_name']} is not known", "leave it out"
            )


def _short(value: Any) -> str:
    return repr(tuple(value) if isinstance(value, list) else value)


# --- one reader for each family -----------------------------------------------------------------------------------


def _plain(kind: str, *options: str, **fixed: Any) -> Read:
    """The options as they are, under their Keras names."""

    def read(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
        return {"kind": kind, **{option: config.get(option) for option in options}, **fixed}

    return read


def _pooling(kind: str) -> Read:
    def read(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
        strides = config.get("strides")
        strides = config.get("pool_size") if strides is None else strides
        return {
            "kind": kind,
            "pool_size": config.get("pool_size"),
            "strides": strides,
            "padding": config.get("padding"),
        }

    return read


def _reshape(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
    target = config.get("target_shape")
    if isinstance(target, list) and target.count(-1) == 1 and all(type(size) is int for size in target):
        known = math.prod(size for size in target if size != -1)
        if known > 0:
            target = [math.prod(shapes[0]) // known if size == -1 else size for size in target]
    return {"kind": "Reshape", "target_shape": target}


def _normalisation(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
    axis = config.get("axis")
    if axis not in (-1, [-1], len(shapes[0]), [len(shapes[0])]):
        raise UnsupportedLayer(str(config["name"]), f"axis={axis!r:.60} is not served", "use axis=-1, the channels")
    return {"kind": "BatchNormalization", **{key: config.get(key) for key in ("epsilon", "center", "scale")}}


def _rescaling(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
    def values(value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    return {"kind": "Rescaling", "factors": values(config.get("scale")), "offsets": values(config.get("offset", 0.0))}


def _around(kind: str, option: str) -> Read:
    """Of an image two pairs, of a series one that is no list of pairs."""

    def read(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
        value = config.get(option)
        return {"kind": kind, "pads": [value] if kind.endswith("1D") else value}

    return read


def _up_sampling_1d(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
    return {"kind": "UpSampling1D", "size": [config.get("size")]}


def _concatenate(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
    axis = config.get("axis")
    if type(axis) is not int or axis == 0 or not -len(shapes[0]) <= axis <= len(shapes[0]):
        raise UnsupportedLayer(str(config["name"]), f"axis={axis!r:.60} is not served", "use an axis but the batch")
    return {"kind": "Concatenate", "axis": axis % (len(shapes[0]) + 1) - 1}


def _relu(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
    return {"kind": "Relu", "max_value": config.get("max_value"), "negative_slope": config.get("negative_slope", 0.0)}


def _leaky_relu(config: Config, shapes: Sequence[Shape]) -> LayerDocument:
    return {"kind": "Relu", "max_value": None, "negative_slope": config.get("negative_slope")}


def _nothing(config: Config, shapes: Sequence[Shape]) -> None:
    return None


CHANNELS_LAST: Mapping[str, tuple[Any, ...]] = {"data_format": ("channels_last",)}

_SLIDING = ("kernel_size", "strides", "padding", "use_bias", "dilation_rate")
_POOLING = frozenset({"pool_size", "strides", "padding"})


def _sliding(kind: str, *options: str) -> Kind:
    return Kind(_plain(kind, *options, *_SLIDING), frozenset({*options, *_SLIDING, "activation"}), CHANNELS_LAST)


KINDS: Mapping[str, Kind] = {
    "Dense": Kind(_plain("Dense", "units", "use_bias"), frozenset({"units", "use_bias", "activation"})),
    "Conv2D": _sliding("Conv2D", "filters", "groups"),
    "Conv1D": _sliding("Conv1D", "filters", "groups"),
    "DepthwiseConv2D": _sliding("DepthwiseConv2D", "depth_multiplier"),
    "DepthwiseConv1D": _sliding("DepthwiseConv1D", "depth_multiplier"),
    "SeparableConv2D": _sliding("SeparableConv2D", "filters", "depth_multiplier"),
    "SeparableConv1D": _sliding("SeparableConv1D", "filters", "depth_multiplier"),
    "BatchNormalization": Kind(
        _normalisation,
        frozenset({"axis", "epsilon", "center", "scale"}),
        {"renorm": (False,)},
        frozenset({"momentum", "synchronized", "renorm_clipping", "renorm_momentum"}),
    ),
    "Rescaling": Kind(_rescaling, frozenset({"scale", "offset"})),
    **{
        kind: Kind(_pooling(kind), _POOLING, CHANNELS_LAST)
        for kind in ("AveragePooling2D", "AveragePooling1D", "MaxPooling2D", "MaxPooling1D")
    },
    **{
        kind: Kind(_plain(kind, "keepdims"), frozenset({"keepdims"}), CHANNELS_LAST)
        for kind in (
            "GlobalAveragePooling2D",
            "GlobalAveragePooling1D",
            "GlobalMaxPooling2D",
            "GlobalMaxPooling1D",
        )
    },
    "Flatten": Kind(_plain("Flatten"), fixed=CHANNELS_LAST),
    "Reshape": Kind(_reshape, frozenset({"target_shape"})),
    "Permute": Kind(_plain("Permute", "dims"), frozenset({"dims"})),
    "ZeroPadding2D": Kind(_around("ZeroPadding2D", "padding"), frozenset({"padding"}), CHANNELS_LAST),
    "ZeroPadding1D": Kind(_around("ZeroPadding1D", "padding"), frozenset({"padding"}), CHANNELS_LAST),
    "Cropping2D": Kind(_around("Cropping2D", "cropping"), frozenset({"cropping"}), CHANNELS_LAST),
    "Cropping1D": Kind(_around("Cropping1D", "cropping"), frozenset({"cropping"})),
    "UpSampling2D": Kind(
        _plain("UpSampling2D", "size"), frozenset({"size"}), {**CHANNELS_LAST, "interpolation": ("nearest",)}
    ),
    "UpSampling1D": Kind(_up_sampling_1d, frozenset({"size"})),
    "Activation": Kind(_nothing, frozenset({"activation"})),
    "ReLU": Kind(_relu, frozenset({"max_value", "negative_slope"}), {"threshold": (0.0,)}),
    "LeakyReLU": Kind(_leaky_relu, frozenset({"negative_slope"})),
    "Softmax": Kind(_plain("Softmax"), fixed={"axis": (-1,)}),
    **{kind: Kind(_plain(kind)) for kind in ("Add", "Subtract", "Average", "Maximum", "Minimum")},
    "Concatenate": Kind(_concatenate, frozenset({"axis"})),
    **{
        kind: Kind(_nothing, ignored=frozenset({"rate", "seed", "noise_shape", "data_format"}))
        for kind in ("Dropout", "SpatialDropout2D", "SpatialDropout1D", "GaussianDropout", "AlphaDropout")
    },
    "GaussianNoise": Kind(_nothing, ignored=frozenset({"stddev", "seed"})),
    "ActivityRegularization": Kind(_nothing, ignored=frozenset({"l1", "l2"})),
}

SUPPORTED = ", ".join(("InputLayer", *KINDS)) + f" (activations {', '.join(ACTIVATIONS)})"

RECURRENT = "a recurrent layer's gates multiply secrets step by step; use Conv1D and pooling over the steps"

HINTS: Mapping[str, str] = {
    "Lambda": "it carries code, and no code of a model is ever run",
    "Multiply": "secrets are multiplied by weights only; use Add or Concatenate",
    "Dot": "secrets are multiplied by weights only; use Add or Concatenate",
    "LSTM": RECURRENT,
    "GRU": RECURRENT,
    "SimpleRNN": RECURRENT,
    "Embedding": "looking a secret up costs a product with the whole table; give its rows as input",
    "MultiHeadAttention": "secrets are multiplied by weights only; use convolutions",
    "Attention": "secrets are multiplied by weights only; use convolutions",
    "LayerNormalization": "it divides by a secret; use BatchNormalization",
    "GroupNormalization": "it divides by a secret; use BatchNormalization",
    "UnitNormalization": "it divides by a secret; use BatchNormalization",
    "Normalization": "use Rescaling with the numbers that it learned, or scale the inputs before they are predicted",
    "PReLU": "its slopes are weights of each element; use LeakyReLU",
    "ELU": "it needs an exponential; use LeakyReLU",
    "Conv2DTranspose": "use UpSampling2D and Conv2D",
    "Conv1DTranspose": "use UpSampling1D and Conv1D",
    "Resizing": "resize the inputs before they are predicted",
}
