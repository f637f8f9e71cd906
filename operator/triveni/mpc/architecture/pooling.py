"""Layers that make one value of a window: its mean or its largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triveni.mpc.architecture.layer import Layer, Pads, Shape, padded, same_pads, windows_after


@dataclass(frozen=True)
class Pooling(Layer):
    """Windows over the axes of an image or a series. Padding counts neither for the mean nor for the largest."""

    pool_size: Shape
    strides: Shape
    padding: Literal["valid", "same"] = "valid"

    def pads(self, shape: Shape) -> Pads:
        """How far windows reach over each end of the axes of a row of `shape`."""
        if self.padding == "same":
            return same_pads(shape[:-1], self.pool_size, self.strides)
        return ((0, 0),) * self.RANK

    def _after(self, shape: Shape) -> Shape:
        size = padded(shape[:-1], self.pads(shape))
        return (*windows_after(self, size, self.pool_size, self.strides), shape[-1])


class AveragePooling(Pooling):
    """The mean of each window."""


class MaxPooling(Pooling):
    """The largest of each window."""


@dataclass(frozen=True)
class AveragePooling2D(AveragePooling):
    """The mean of each window of an image."""

    RANK: ClassVar[int] = 2


@dataclass(frozen=True)
class AveragePooling1D(AveragePooling):
    """The mean of each window of a series."""

    RANK: ClassVar[int] = 1


@dataclass(frozen=True)
class MaxPooling2D(MaxPooling):
    """The largest of each window of an image."""

    RANK: ClassVar[int] = 2


@dataclass(frozen=True)
class MaxPooling1D(MaxPooling):
    """The largest of each window of a series."""

    RANK: ClassVar[int] = 1


@dataclass(frozen=True)
class GlobalPooling(Layer):
    """One value of each channel; `keepdims` leaves axes of length 1."""

    keepdims: bool = False

    def _after(self, shape: Shape) -> Shape:
        return (*(1,) * self.RANK, shape[-1]) if self.keepdims else shape[-1:]


class GlobalAveragePooling(GlobalPooling):
    """The mean of each channel."""


class GlobalMaxPooling(GlobalPooling):
    """The largest of each channel."""


@dataclass(frozen=True)
class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean of each channel of an image."""

    RANK: ClassVar[int] = 2


@dataclass(frozen=True)
class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean of each channel of a series."""

    RANK: ClassVar[int] = 1


@dataclass(frozen=True)
class GlobalMaxPooling2D(GlobalMaxPooling):
    """The largest of each channel of an image."""

    RANK: ClassVar[int] = 2


@dataclass(frozen=True)
class GlobalMaxPooling1D(GlobalMaxPooling):
    """The largest of each channel of a series."""

    RANK: ClassVar[int] = 1
