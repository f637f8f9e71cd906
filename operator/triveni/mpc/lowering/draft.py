"""A network in the making: steps that are added in order, replaced and taken out, and the shapes of their values.

It also holds three steps that no protocol computes, each of them linear: lowering folds them into their neighbours,
or writes them as steps that one does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from triveni.mpc.architecture import Pads, Shape
from triveni.mpc.architecture.layer import padded
from triveni.mpc.lowering import steps
from triveni.mpc.lowering.steps import Make, Step

REQUEST = 0
"""The number of the value that the client sends."""


@dataclass(frozen=True, eq=False)
class Scale(Step):
    """The value times a public number above 0."""

    name: str
    gain: float


@dataclass(frozen=True, eq=False)
class Channelwise(Step):
    """Each channel, on the last axis, times a factor plus a shift; both made as (channels,)."""

    name: str
    factors: Make = field(repr=False)
    shifts: Make | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class MeanPooling(Step):
    """The mean of each window of an image; `pads` is how far windows reach over its ends, which does not count."""

    name: str
    window: tuple[int, int]
    strides: tuple[int, int]
    pads: Pads


class Draft:
    """Steps by the number of the value that they give; `answer` is the number of the last one.

    A step that is added without a layer's name belongs to `layer`.
    """

    def __init__(self, input_shape: Shape) -> None:
        self.shapes: dict[int, Shape] = {REQUEST: input_shape}
        self.steps: dict[int, Step] = {}
        self.answer = REQUEST
        self.layer = ""

    def add(self, step: Step) -> int:
        """Put a step at the end; the number of its value."""
        number = len(self.shapes)
        self.shapes[number] = shape_after(step, [self.shapes[i] for i in step.inputs])
        self.steps[number] = step if step.layer else replace(step, layer=self.layer)
        return number

    def drop(self, number: int) -> None:
        """Take out a step of one input: who reads its value reads its input."""
        (source,) = self.steps.pop(number).inputs
        for other, step in self.steps.items():
            if number in step.inputs:
                self.steps[other] = replace(step, inputs=tuple(source if i == number else i for i in step.inputs))
        if self.answer == number:
            self.answer = source

    def only_reader(self, number: int) -> int | None:
        """The one step that reads a value, if it is the only one and the value is not the answer."""
        readers = [other for other, step in self.steps.items() for i in step.inputs if i == number]
        return readers[0] if len(readers) == 1 and number != self.answer else None

    def chain_after(self, number: int) -> Iterator[int]:
        """The steps after this one, each the only reader of the one before, and with no other input."""
        while (reader := self.only_reader(number)) is not None and len(self.steps[reader].inputs) == 1:
            yield reader
            number = reader

    def chain_before(self, number: int) -> Iterator[int]:
        """The steps before this one, each read only by the one after it; the last one may have several inputs."""
        while len(self.steps[number].inputs) == 1:
            (source,) = self.steps[number].inputs
            if source == REQUEST or self.only_reader(source) != number:
                return
            yield source
            number = source


def shape_after(step: Step, before: list[Shape]) -> Shape:
    """Shape of one row after a step."""
    first = before[0]
    match step:
        case steps.Linear():
            return (*first[:-1], step.kernel_shape[-1])
        case steps.Convolution():
            reach = [(k - 1) * d + 1 for k, d in zip(step.kernel_shape, step.dilation, strict=False)]
            return (*_grid(padded(first[:2], step.pads), reach, step.strides), step.kernel_shape[-1])
        case MeanPooling():
            return (*_grid(padded(first[:2], step.pads), step.window, step.strides), first[2])
        case steps.Windows():
            return (*_grid(first[:2], step.window, step.strides), math.prod(step.window), first[2])
        case steps.SumAxis():
            return (*first[: step.axis], *first[step.axis + 1 :])
        case steps.AddConstant():
            return (*first[: len(first) - len(step.shape)], *_broadcast([first[-len(step.shape) :], step.shape]))
        case steps.Sum():
            return _broadcast(before)
        case steps.Rearrange():
            return step.shape
        case steps.Transpose():
            return tuple(first[axis] for axis in step.order)
        case steps.Pad():
            return padded(first, step.pads)
        case steps.Slice():
            return tuple(stop - start for start, stop in zip(step.start, step.stop, strict=True))
        case steps.Join():
            return (*first[: step.axis], sum(shape[step.axis] for shape in before), *first[step.axis + 1 :])
        case steps.Repeat():
            return tuple(size * step.times if axis == step.axis else size for axis, size in enumerate(first))
    return first


def _grid(size: Shape, window: Shape | list[int], strides: Shape) -> Shape:
    return tuple((s - w) // t + 1 for s, w, t in zip(size, window, strides, strict=False))


def _broadcast(shapes: list[Shape]) -> Shape:
    return tuple(max(sizes) for sizes in zip(*shapes, strict=True))
