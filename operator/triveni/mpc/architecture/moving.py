"""Layers that move elements, or copy, cut or surround them with zeros."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from triveni.mpc.architecture.layer import Layer, Pads, Shape, padded


@dataclass(frozen=True)
class Flatten(Layer):
    """A row of any shape as a flat one."""

    def _after(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class Reshape(Layer):
    """A row in another shape."""

    target_shape: Shape

    def _after(self, shape: Shape) -> Shape:
        self._need(
            math.prod(shape) == math.prod(self.target_shape),
            f"a row of shape {shape} cannot be reshaped to {self.target_shape}",
        )
        return self.target_shape


@dataclass(frozen=True)
class Permute(Layer):
    """The axes in another order; `dims` counts them from 1, as Keras does."""

    dims: Shape

    def _after(self, shape: Shape) -> Shape:
        fits = sorted(self.dims) == list(range(1, len(shape) + 1))
        self._need(fits, f"dims {self.dims} are no order of the axes of a row of shape {shape}")
        return tuple(shape[axis - 1] for axis in self.dims)


@dataclass(frozen=True)
class ZeroPadding(Layer):
    """Zeros around each spatial axis."""

    pads: Pads

    def _after(self, shape: Shape) -> Shape:
        return (*padded(shape[:-1], self.pads), shape[-1])


@dataclass(frozen=True)
class Cropping(Layer):
    """Elements cut off from each spatial axis."""

    pads: Pads

    def _after(self, shape: Shape) -> Shape:
        sizes = tuple(size - sum(pad) for size, pad in zip(shape[:-1], self.pads, strict=True))
        self._need(min(sizes) > 0, f"cutting off {self.pads} leaves nothing of a row of shape {shape}")
        return (*sizes, shape[-1])


@dataclass(frozen=True)
class UpSampling(Layer):
    """Each element several times in a row, along each spatial axis."""

    size: Shape

    def _after(self, shape: Shape) -> Shape:
        return (*(length * times for length, times in zip(shape[:-1], self.size, strict=True)), shape[-1])


@dataclass(frozen=True)
class ZeroPadding2D(ZeroPadding):
    """Zeros around an image."""

    RANK: ClassVar[int] = 2


@dataclass(frozen=True)
class ZeroPadding1D(ZeroPadding):
    """Zeros around a series."""

    RANK: ClassVar[int] = 1


@dataclass(frozen=True)
class Cropping2D(Cropping):
    """An image without its margins."""

    RANK: ClassVar[int] = 2


@dataclass(frozen=True)
class Cropping1D(Cropping):
    """A series without its ends."""

    RANK: ClassVar[int] = 1


@dataclass(frozen=True)
class UpSampling2D(UpSampling):
    """A larger image, each pixel repeated (interpolation 'nearest')."""

    RANK: ClassVar[int] = 2


@dataclass(frozen=True)
class UpSampling1D(UpSampling):
    """A longer series, each step repeated."""

    RANK: ClassVar[int] = 1
