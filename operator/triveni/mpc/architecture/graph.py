"""The architecture: layers that form a graph without circles, each naming what it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from triveni.mpc.architecture.activations import Sigmoid, Softmax, Tanh
from triveni.mpc.architecture.layer import INPUT, InvalidArchitecture, Layer, Shape
from triveni.mpc.architecture.reading import MAX_ANSWER_BITS, read_answer_bits, read_layer, read_shape

FORMAT = "triveni.dev/architecture/v2"

CLIENTS = (Softmax, Sigmoid, Tanh)
"""Layers that the client computes (`mpc.answer`), where one is the last."""


@dataclass(frozen=True)
class Architecture:
    """Layers, each after those that it reads; the answer is the last one's. Checked when made: InvalidArchitecture.

    `input_shape` is that of one row. A layer that names no input reads the layer before it. `answer_bits` is how many
    fractional bits of each value clients are given: workers round the rest off (None: all that the protocol has).
    """

    input_shape: Shape
    layers: tuple[Layer, ...]
    answer_bits: int | None = None

    MAX_LAYERS: ClassVar[int] = 500

    def __post_init__(self) -> None:
        if not self.layers:
            raise InvalidArchitecture("(none)", "a model needs at least one layer that computes")
        if len(self.layers) > self.MAX_LAYERS:
            raise InvalidArchitecture("(all)", f"{len(self.layers)} layers; at most {self.MAX_LAYERS} are served")
        if self.answer_bits is not None and not 0 <= self.answer_bits <= MAX_ANSWER_BITS:
            raise InvalidArchitecture("(answer)", f"fractional_bits must be 0 to {MAX_ANSWER_BITS}, or none be given")
        before = (INPUT, *(layer.name for layer in self.layers[:-1]))
        pairs = zip(self.layers, before, strict=True)
        object.__setattr__(self, "layers", tuple(x if x.inputs else replace(x, inputs=(y,)) for x, y in pairs))
        self._check_graph()
        for layer, shapes, _ in self.walk():
            layer.check(shapes)

    def _check_graph(self) -> None:
        known = {INPUT}
        for layer in self.layers:
            layer._need(layer.name not in known, "another layer has the same name")
            for name in layer.inputs:
                layer._need(name in known, f"its input {name!r} is no layer before it")
            known.add(layer.name)
        read = {name for layer in self.layers for name in layer.inputs}
        for layer in self.layers[:-1]:
            layer._need(layer.name in read, "it does not lead to the answer")
            layer._need(not isinstance(layer, Softmax), "Softmax is the client's, so it must be the last layer")

    def walk(self) -> Iterator[tuple[Layer, tuple[Shape, ...], Shape]]:
        """Each layer with the shapes of one row of its inputs, and of what comes out."""
        shapes = {INPUT: self.input_shape}
        for layer in self.layers:
            before = tuple(shapes[name] for name in layer.inputs)
            after = layer.output_shape(before)
            yield layer, before, after
            shapes[layer.name] = after

    @property
    def output_shape(self) -> Shape:
        """Shape of one row of the answer."""
        return list(self.walk())[-1][2]

    @property
    def clients_layer(self) -> Layer | None:
        """The last layer, if it is the client's: the workers' answer is what that layer reads."""
        last = self.layers[-1]
        return last if isinstance(last, CLIENTS) else None

    def document(self) -> dict[str, Any]:
        """The JSON form as plain data."""
        document = {
            "format": FORMAT,
            "input": list(self.input_shape),
            "layers": [{"kind": layer.kind, **_json(asdict(layer))} for layer in self.layers],
        }
        return document if self.answer_bits is None else document | {"answer": {"fractional_bits": self.answer_bits}}

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
        if not isinstance(document, dict) or set(document) - {"answer"} != {"format", "input", "layers"}:
            raise InvalidArchitecture("(document)", "needs exactly the fields format, input and layers, perhaps answer")
        if document["format"] != FORMAT:
            raise InvalidArchitecture("(document)", f"format must be {FORMAT}")
        layers = document["layers"]
        if not isinstance(layers, list):
            raise InvalidArchitecture("(document)", "layers must be a list")
        shape = read_shape("(input)", "input", document["input"])
        return cls(shape, tuple(map(read_layer, layers)), read_answer_bits(document))

    @classmethod
    def from_json(cls, data: bytes) -> Architecture:
        """Read the canonical bytes, or any JSON of the same meaning; errors as `from_document`."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidArchitecture("(document)", "not JSON") from error
        return cls.from_document(document)


def _json(value: Any) -> Any:
    """Tuples as lists, so that a document equals itself read back from JSON."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, tuple | list) else value
