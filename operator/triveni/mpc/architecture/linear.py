"""Layers that are linear in their input, with weights or constants of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from triveni.mpc.architecture.layer import Layer, Pads, Shape, padded, same_pads, windows_after

Padding = Literal["valid", "same", "causal"]


def _with_bias(weights: dict[str, Shape], units: int, use_bias: bool) -> Mapping[str, Shape]:
    return {**weights, "bias": (units,)} if use_bias else weights


@dataclass(frozen=True)
class Dense(Layer):
    """``x @ kernel + bias`` over the last axis."""

    units: int
    use_bias: bool = True

    def _after(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def _weights(self, shape: Shape) -> Mapping[str, Shape]:
        return _with_bias({"kernel": (shape[-1], self.units)}, self.units, self.use_bias)


class Sliding(Layer, ABC):
    """What all convolutions share: a kernel that slides over the axes of an image or a series, channels last."""

    kernel_size: Shape
    strides: Shape
    padding: Padding
    dilation_rate: Shape
    use_bias: bool

    @property
    def reach(self) -> Shape:
        """How far the kernel reaches, the holes of its dilation included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True))

    def pads(self, shape: Shape) -> Pads:
        """What zeros are put around each axis of a row of `shape`."""
        if self.padding == "same":
            return same_pads(shape[:-1], self.reach, self.strides)
        return tuple((reach - 1 if self.padding == "causal" else 0, 0) for reach in self.reach)

    @abstractmethod
    def channels(self, shape: Shape) -> int:
        """Channels of the result."""

    def _after(self, shape: Shape) -> Shape:
        both = max(self.strides) > 1 and max(self.dilation_rate) > 1
        self._need(not both, "strides and dilation_rate cannot both be above 1, in Keras neither")
        self._need(self.padding != "causal" or self.RANK == 1, "padding cannot be 'causal' for an image")
        size = padded(shape[:-1], self.pads(shape))
        return (*windows_after(self, size, self.reach, self.strides), self.channels(shape))


@dataclass(frozen=True)
class Conv2D(Sliding):
    """Two-dimensional convolution; `groups` of channels are convolved apart."""

    RANK: ClassVar[int] = 2
    filters: int
    kernel_size: Shape
    strides: Shape = (1, 1)
    padding: Padding = "valid"
    use_bias: bool = True
    dilation_rate: Shape = (1, 1)
    groups: int = 1

    def channels(self, shape: Shape) -> int:
        """The filters."""
        self._need(
            shape[-1] % self.groups == 0 and self.filters % self.groups == 0,
            f"{shape[-1]} channels and {self.filters} filters do not divide into {self.groups} groups",
        )
        return self.filters

    def _weights(self, shape: Shape) -> Mapping[str, Shape]:
        kernel = (*self.kernel_size, shape[-1] // self.groups, self.filters)
        return _with_bias({"kernel": kernel}, self.filters, self.use_bias)


@dataclass(frozen=True)
class Conv1D(Conv2D):
    """One-dimensional convolution."""

    RANK: ClassVar[int] = 1
    strides: Shape = (1,)
    dilation_rate: Shape = (1,)


@dataclass(frozen=True)
class DepthwiseConv2D(Sliding):
    """Each channel of an image convolved alone, with `depth_multiplier` kernels."""

    RANK: ClassVar[int] = 2
    kernel_size: Shape
    strides: Shape = (1, 1)
    padding: Padding = "valid"
    use_bias: bool = True
    dilation_rate: Shape = (1, 1)
    depth_multiplier: int = 1

    def channels(self, shape: Shape) -> int:
        """Those of the input times the multiplier."""
        return shape[-1] * self.depth_multiplier

    def _weights(self, shape: Shape) -> Mapping[str, Shape]:
        kernel = (*self.kernel_size, shape[-1], self.depth_multiplier)
        return _with_bias({"kernel": kernel}, self.channels(shape), self.use_bias)


@dataclass(frozen=True)
class DepthwiseConv1D(DepthwiseConv2D):
    """Each channel of a series convolved alone."""

    RANK: ClassVar[int] = 1
    strides: Shape = (1,)
    dilation_rate: Shape = (1,)


@dataclass(frozen=True)
class SeparableConv2D(Sliding):
    """A depthwise convolution of an image without bias, then one of 1x1."""

    RANK: ClassVar[int] = 2
    filters: int
    kernel_size: Shape
    strides: Shape = (1, 1)
    padding: Padding = "valid"
    use_bias: bool = True
    dilation_rate: Shape = (1, 1)
    depth_multiplier: int = 1

    def channels(self, shape: Shape) -> int:
        """The filters."""
        return self.filters

    def _weights(self, shape: Shape) -> Mapping[str, Shape]:
        between = shape[-1] * self.depth_multiplier
        kernels: dict[str, Shape] = {
            "depthwise_kernel": (*self.kernel_size, shape[-1], self.depth_multiplier),
            "pointwise_kernel": (*(1,) * self.RANK, between, self.filters),
        }
        return _with_bias(kernels, self.filters, self.use_bias)


@dataclass(frozen=True)
class SeparableConv1D(SeparableConv2D):
    """The same of a series."""

    RANK: ClassVar[int] = 1
    strides: Shape = (1,)
    dilation_rate: Shape = (1,)


@dataclass(frozen=True)
class BatchNormalization(Layer):
    """``(x - moving_mean) / sqrt(moving_variance + epsilon) * gamma + beta`` for each channel, the last axis."""

    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True

    def _weights(self, shape: Shape) -> Mapping[str, Shape]:
        names = ("gamma",) * self.scale + ("beta",) * self.center + ("moving_mean", "moving_variance")
        return dict.fromkeys(names, shape[-1:])


@dataclass(frozen=True)
class Rescaling(Layer):
    """``x * scale + offset``: public constants, one for all channels or one for each."""

    factors: tuple[float, ...]
    offsets: tuple[float, ...]

    def _after(self, shape: Shape) -> Shape:
        for what, values in ("scale", self.factors), ("offset", self.offsets):
            fits = len(values) in (1, shape[-1])
            self._need(fits, f"its {what} has {len(values)} values for {shape[-1]} channels")
        return shape
