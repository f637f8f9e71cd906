"""What every layer of an architecture has: a name, inputs, and Keras's shapes; not what it computes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

MAX_ELEMENTS = 2**24
"""Largest number of elements of one row's feature map or of one weight: a bound on what a worker will allocate."""

INPUT = "(input)"
"""How a layer names the model's input among its own."""

Shape = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]
"""What is put around (or cut off) each axis: (before, after)."""


@dataclass(eq=False)
class InvalidArchitecture(ValueError):
    """A layer that cannot follow the one before it, or that this version does not serve."""

    layer: str
    problem: str

    def __str__(self) -> str:
        return f"layer {self.layer!r}: {self.problem}"


@dataclass(frozen=True)
class Layer:
    """One layer; its shapes are those of Keras, for one row.

    A layer of one input gives `_after` and `_weights`; one that joins several overrides `output_shape`.

    Attributes:
        inputs: names of the layers whose values it reads, or `INPUT`. None named: the layer before it.
    """

    name: str
    inputs: tuple[str, ...] = field(default=(), kw_only=True)

    RANK: ClassVar[int] = 0
    """Number of spatial axes, where the layer is about an image (2) or a series (1)."""

    def output_shape(self, before: Sequence[Shape]) -> Shape:
        """Shape of one row after this layer; InvalidArchitecture if the shapes `before` do not fit it."""
        self._need(len(before) == 1, f"{self.kind} has one input, not {len(before)}")
        if self.RANK:
            what = "an image (height, width, channels)" if self.RANK == 2 else "a series (steps, channels)"
            self._need(
                len(before[0]) == self.RANK + 1, f"{self.kind} needs {what}, not a row of shape {tuple(before[0])}"
            )
        return self._after(tuple(before[0]))

    def weight_shapes(self, before: Sequence[Shape]) -> Mapping[str, Shape]:
        """The layer's weights by their Keras names, in Keras's order, for inputs of the shapes `before`."""
        return self._weights(tuple(before[0]))

    @property
    def kind(self) -> str:
        """The name of its class, as in the document."""
        return type(self).__name__

    def _after(self, shape: Shape) -> Shape:
        return shape

    def _weights(self, shape: Shape) -> Mapping[str, Shape]:
        return {}

    def _need(self, condition: bool, problem: str) -> None:
        if not condition:
            raise InvalidArchitecture(self.name, problem)

    def check(self, before: Sequence[Shape]) -> None:
        """InvalidArchitecture if a value or weight has no element or too many."""
        shapes = {f"input {number}": shape for number, shape in enumerate(before)}
        for what, shape in {**shapes, "output": self.output_shape(before), **self.weight_shapes(before)}.items():
            sound = all(size > 0 for size in shape) and math.prod(shape) <= MAX_ELEMENTS
            self._need(sound, f"its {what} would have shape {shape}; 1 to {MAX_ELEMENTS} elements are served")


def windows_after(layer: Layer, size: Shape, window: Shape, strides: Shape) -> Shape:
    """How many windows of each axis lie wholly within `size`."""
    layer._need(
        all(s >= w for s, w in zip(size, window, strict=True)),
        f"its window of {window} is larger than the image of {'x'.join(map(str, size))}",
    )
    return tuple((s - w) // t + 1 for s, w, t in zip(size, window, strides, strict=True))


def same_pads(size: Shape, window: Shape, strides: Shape) -> Pads:
    """As TensorFlow pads for 'same': ceil(size / stride) windows, the odd element at the end."""
    totals = (max((-(-s // t) - 1) * t + w - s, 0) for s, w, t in zip(size, window, strides, strict=True))
    return tuple((total // 2, total - total // 2) for total in totals)


def padded(size: Shape, pads: Pads) -> Shape:
    """The sizes with what is put around them."""
    return tuple(s + sum(pad) for s, pad in zip(size, pads, strict=True))
