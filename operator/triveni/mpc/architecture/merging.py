"""Layers of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from triveni.mpc.architecture.layer import Layer, Shape


@dataclass(frozen=True)
class Merging(Layer):
    """Inputs of one number of axes, element by element; an axis of length 1 is repeated, as Keras does."""

    MOST: ClassVar[int] = 64

    def output_shape(self, before: Sequence[Shape]) -> Shape:
        """The common shape."""
        self._need(2 <= len(before) <= self.MOST, f"{self.kind} takes 2 to {self.MOST} inputs, not {len(before)}")
        ranks = {len(shape) for shape in before}
        self._need(len(ranks) == 1, f"its inputs of the shapes {list(before)} have not equally many axes")
        sizes = [set(axis) - {1} for axis in zip(*before, strict=True)]
        self._need(all(len(size) <= 1 for size in sizes), f"inputs of the shapes {list(before)} do not fit together")
        return tuple(size.pop() if size else 1 for size in sizes)


@dataclass(frozen=True)
class Add(Merging):
    """The sum."""


@dataclass(frozen=True)
class Subtract(Merging):
    """The first less the second."""

    MOST: ClassVar[int] = 2


@dataclass(frozen=True)
class Average(Merging):
    """The mean."""


@dataclass(frozen=True)
class Maximum(Merging):
    """The largest."""


@dataclass(frozen=True)
class Minimum(Merging):
    """The smallest."""


@dataclass(frozen=True)
class Concatenate(Layer):
    """Inputs one behind the other along `axis`, counted without the batch from 0."""

    axis: int

    def output_shape(self, before: Sequence[Shape]) -> Shape:
        """All sizes but that of the axis are common."""
        self._need(2 <= len(before) <= Merging.MOST, f"Concatenate takes 2 to {Merging.MOST} inputs, not {len(before)}")
        first = before[0]
        self._need(0 <= self.axis < len(first), f"a row of shape {first} has no axis {self.axis}")
        others = {(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in before}
        fits = len(others) == 1 and len({len(shape) for shape in before}) == 1
        self._need(fits, f"inputs of the shapes {list(before)} do not fit together along axis {self.axis}")
        return (*first[: self.axis], sum(shape[self.axis] for shape in before), *first[self.axis + 1 :])
