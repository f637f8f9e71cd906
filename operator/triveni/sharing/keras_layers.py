"""The layers of a Keras 3 file: its JSON read as an `Architecture`, or a refusal that names every layer in the way.

Only what `keras_kinds` lists is understood, layer by layer and option by option; everything else is refused, since an
option that is passed over is a silent wrong answer. No name in the file is ever imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from triveni.mpc.architecture import INPUT, Architecture, InvalidArchitecture, Layer, Shape
from triveni.mpc.architecture.reading import read_layer
from triveni.sharing.failures import UnsupportedLayer
from triveni.sharing.keras_graph import Call, Config, calls_of
from triveni.sharing.keras_kinds import LayerDocument, check_entry, check_input, read_entry


@dataclass(frozen=True)
class ReadLayers:
    """The architecture, and for each of its layers with weights the group that holds them in the weights file."""

    architecture: Architecture
    groups: Mapping[str, str]


def read_layers(config: Config) -> ReadLayers:
    """Read config.json.

    Raises:
        UnsupportedLayer: a layer, an option or a shape of graph that is not computed on shares; its `others` are all
            further layers that would be refused too.
    """
    first, *calls = calls_of(config)
    shape = check_input(first.name, first.entry)
    reader = _Reader(first.name, shape)
    for call in calls:
        reader.read(call)
    if reader.refused:
        raise replace(reader.refused[0], others=tuple(reader.refused[1:]))
    try:
        architecture = Architecture(shape, tuple(reader.layers))
    except InvalidArchitecture as error:
        raise UnsupportedLayer(error.layer, error.problem) from error
    return ReadLayers(architecture, {call.name: call.group for call in calls})


class _Reader:
    """Reads call by call. What reads a refused layer is checked as far as that goes without knowing its shape."""

    def __init__(self, source: str, shape: Shape) -> None:
        self.layers: list[Layer] = []
        self.refused: list[UnsupportedLayer] = []
        self.values: dict[str, tuple[str, Shape] | None] = {source: (INPUT, shape)}
        """For each layer of the file the architecture's layer that gives its value, and the shape of a row of it."""

    def read(self, call: Call) -> None:
        try:
            check_entry(call.name, call.entry)
            self.values[call.name] = self._value(call)
        except UnsupportedLayer as refused:
            self.refused.append(refused)
            self.values[call.name] = None

    def _value(self, call: Call) -> tuple[str, Shape] | None:
        known = [value for name in call.inputs if (value := self.values[name]) is not None]
        if len(known) < len(call.inputs):
            return None
        shapes = [shape for _, shape in known]
        value = known[0]
        for number, document in enumerate(read_entry(call.name, call.entry, shapes)):
            inputs = [name for name, _ in known] if number == 0 else [value[0]]
            value = self._add(call.name, document, inputs, shapes if number == 0 else [value[1]])
        return value

    def _add(self, name: str, document: LayerDocument, inputs: list[str], shapes: Sequence[Shape]) -> tuple[str, Shape]:
        suffix = document.pop("suffix", "")
        try:
            layer = read_layer({"name": name + suffix, "inputs": inputs, **document})
            layer.check(shapes)
            after = layer.output_shape(shapes)
        except InvalidArchitecture as error:
            raise UnsupportedLayer(error.layer, error.problem) from error
        self.layers.append(layer)
        return layer.name, after
