"""The architecture: the public part of a model, its layers and shapes without a weight.

It is what workers compile from and what a client is told. A Keras activation is a `Relu` layer of its own here, and
layers that do nothing at inference (InputLayer, Dropout) are gone: whoever reads a Keras file leaves them out.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal

FORMAT = "triveni.dev/architecture/v1"

MAX_ELEMENTS = 2**24
"""Largest number of elements of one row's feature map or of one weight: a bound on what a worker will allocate."""

Shape = tuple[int, ...]


@dataclass(eq=False)
class InvalidArchitecture(ValueError):
    """A layer that cannot follow the one before it, or that this version does not serve."""

    layer: str
    problem: str

    def __str__(self) -> str:
        return f"layer {self.layer!r}: {self.problem}"


@dataclass(frozen=True)
class Layer:
    """One layer; `output_shape` and `weight_shapes` are those of Keras, for one row."""

    name: str

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of one row after this layer; InvalidArchitecture if `shape` does not fit it."""
        return shape

    def weight_shapes(self, shape: Shape) -> Mapping[str, Shape]:
        """The layer's weights by their Keras names, in Keras's order, for an input row of `shape`."""
        return {}

    def _need(self, condition: bool, problem: str) -> None:
        if not condition:
            raise InvalidArchitecture(self.name, problem)


@dataclass(frozen=True)
class Dense(Layer):
    """``x @ kernel + bias`` over the last axis."""

    units: int
    use_bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        self._need(len(shape) == 1, f"Dense needs a flat row, not one of shape {shape}; put a Flatten before it")
        return (self.units,)

    def weight_shapes(self, shape: Shape) -> Mapping[str, Shape]:
        return _weights((shape[-1], self.units), self.units, self.use_bias)


@dataclass(frozen=True)
class Conv2D(Layer):
    """Two-dimensional convolution, channels last, no dilation, one group."""

    filters: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Literal["valid", "same"] = "valid"
    use_bias: bool = True

    def pads(self, shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of zeros that are put around the image: (top, bottom), (left, right)."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        height, width = (
            _same_pads(size, kernel, stride)
            for size, kernel, stride in zip(shape[:2], self.kernel_size, self.strides, strict=True)
        )
        return height, width

    def output_shape(self, shape: Shape) -> Shape:
        self._need(len(shape) == 3, f"Conv2D needs an image (height, width, channels), not a row of shape {shape}")
        padded = tuple(size + sum(pad) for size, pad in zip(shape, self.pads(shape), strict=False))
        return (*_windows(self, padded, self.kernel_size, self.strides), self.filters)

    def weight_shapes(self, shape: Shape) -> Mapping[str, Shape]:
        return _weights((*self.kernel_size, shape[-1], self.filters), self.filters, self.use_bias)


@dataclass(frozen=True)
class AveragePooling2D(Layer):
    """The mean of each window, no padding."""

    pool_size: tuple[int, int]
    strides: tuple[int, int]

    def output_shape(self, shape: Shape) -> Shape:
        self._need(len(shape) == 3, f"AveragePooling2D needs an image (height, width, channels), not a row of {shape}")
        return (*_windows(self, shape[:2], self.pool_size, self.strides), shape[2])


@dataclass(frozen=True)
class GlobalAveragePooling2D(Layer):
    """The mean of each channel."""

    def output_shape(self, shape: Shape) -> Shape:
        self._need(len(shape) == 3, f"GlobalAveragePooling2D needs an image, not a row of shape {shape}")
        return shape[2:]


@dataclass(frozen=True)
class Flatten(Layer):
    """A row of any shape as a flat one."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class Reshape(Layer):
    """A row in another shape."""

    target_shape: tuple[int, ...]

    def output_shape(self, shape: Shape) -> Shape:
        self._need(
            math.prod(shape) == math.prod(self.target_shape),
            f"a row of shape {shape} cannot be reshaped to {self.target_shape}",
        )
        return self.target_shape


@dataclass(frozen=True)
class Relu(Layer):
    """max(x, 0)."""


KINDS: Mapping[str, type[Layer]] = {
    kind.__name__: kind for kind in (Dense, Conv2D, AveragePooling2D, GlobalAveragePooling2D, Flatten, Reshape, Relu)
}


@dataclass(frozen=True)
class Architecture:
    """Layers in their order; `input_shape` is that of one row. Checked when made: InvalidArchitecture."""

    input_shape: Shape
    layers: tuple[Layer, ...]

    MAX_LAYERS: ClassVar[int] = 200

    def __post_init__(self) -> None:
        if not self.layers:
            raise InvalidArchitecture("(none)", "a model needs at least one layer that computes")
        if len(self.layers) > self.MAX_LAYERS:
            raise InvalidArchitecture("(all)", f"{len(self.layers)} layers; at most {self.MAX_LAYERS} are served")
        names: set[str] = set()
        for layer, before, after in self.walk():
            layer._need(layer.name not in names, "another layer has the same name")
            names.add(layer.name)
            for what, shape in {"input": before, "output": after, **layer.weight_shapes(before)}.items():
                sound = all(size > 0 for size in shape) and math.prod(shape) <= MAX_ELEMENTS
                layer._need(sound, f"its {what} would have shape {shape}; 1 to {MAX_ELEMENTS} elements are served")

    def walk(self) -> Iterator[tuple[Layer, Shape, Shape]]:
        """Each layer with the shape of one row before and after it."""
        shape = self.input_shape
        for layer in self.layers:
            after = layer.output_shape(shape)
            yield layer, shape, after
            shape = after

    @property
    def output_shape(self) -> Shape:
        """Shape of one row of the answer."""
        return list(self.walk())[-1][2]

    def document(self) -> dict[str, Any]:
        """The JSON form as plain data."""
        return {
            "format": FORMAT,
            "input": list(self.input_shape),
            "layers": [{"kind": type(layer).__name__, **asdict(layer)} for layer in self.layers],
        }

    def to_json(self) -> bytes:
        """Canonical bytes: sorted keys, no white space."""
        return json.dumps(self.document(), separators=(",", ":"), sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_document(cls, document: Any) -> Architecture:
        """Read the JSON form strictly.

        Raises:
            InvalidArchitecture: an unknown kind or field, a wrong type, or layers that do not fit together.
        """
        if not isinstance(document, dict) or set(document) != {"format", "input", "layers"}:
            raise InvalidArchitecture("(document)", "needs exactly the fields format, input and layers")
        if document["format"] != FORMAT:
            raise InvalidArchitecture("(document)", f"format must be {FORMAT}")
        layers = document["layers"]
        if not isinstance(layers, list):
            raise InvalidArchitecture("(document)", "layers must be a list")
        return cls(_whole_numbers("(input)", "input", document["input"]), tuple(map(_layer, layers)))

    @classmethod
    def from_json(cls, data: bytes) -> Architecture:
        """Read the canonical bytes, or any JSON of the same meaning; errors as `from_document`."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidArchitecture("(document)", "not JSON") from error
        return cls.from_document(document)


def _weights(kernel: Shape, units: int, use_bias: bool) -> Mapping[str, Shape]:
    return {"kernel": kernel, "bias": (units,)} if use_bias else {"kernel": kernel}


def _windows(layer: Layer, size: Shape, window: Shape, strides: Shape) -> Shape:
    layer._need(
        all(s >= w for s, w in zip(size, window, strict=False)),
        f"its window of {window} is larger than the image of {size[0]}x{size[1]}",
    )
    return tuple((s - w) // t + 1 for s, w, t in zip(size, window, strides, strict=False))


def _same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """As TensorFlow pads for 'same': ceil(size / stride) windows, the odd zero at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _layer(document: Any) -> Layer:
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise InvalidArchitecture("(unnamed)", "a layer needs a kind and a name")
    name = document["name"]
    kind = KINDS.get(document.get("kind", ""))
    if kind is None:
        raise InvalidArchitecture(name, f"kind {document.get('kind')!r} is not served; {', '.join(KINDS)} are")
    if set(document) != {"kind", *(field.name for field in fields(kind))}:
        raise InvalidArchitecture(name, f"a {kind.__name__} has exactly {[f.name for f in fields(kind)]}")
    values = {key: _field(name, key, value) for key, value in document.items() if key != "kind"}
    return kind(**values)


def _field(layer: str, key: str, value: Any) -> Any:
    match key:
        case "name":
            return value
        case "use_bias":
            if isinstance(value, bool):
                return value
        case "padding":
            if value in ("valid", "same"):
                return value
        case "units" | "filters":
            return _whole_numbers(layer, key, [value])[0]
        case "target_shape":
            return _whole_numbers(layer, key, value)
        case _:
            pair = _whole_numbers(layer, key, value)
            if len(pair) == 2:
                return pair
    raise InvalidArchitecture(layer, f"{key} cannot be {value!r}")


def _whole_numbers(layer: str, key: str, value: Any) -> Shape:
    sound = isinstance(value, list) and 1 <= len(value) <= 8
    if not sound or any(type(v) is not int or not 0 < v <= MAX_ELEMENTS for v in value):
        raise InvalidArchitecture(layer, f"{key} must be whole numbers of 1 to {MAX_ELEMENTS}, not {value!r}")
    return tuple(value)
