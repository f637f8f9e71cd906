"""The steps of a model, and the weights that the workers hold shares of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.architecture import Shape
from triveni.mpc.lowering.steps import AddConstant, Affine, Floats, Make, Rectify, Step


@dataclass(frozen=True)
class Network:
    """The steps of a model, each after those that it reads; the last one's value is the answer."""

    input_shape: Shape
    output_shape: Shape
    steps: tuple[Step, ...]

    def _weights(self) -> Iterator[tuple[str, Shape, Make]]:
        for step in self.steps:
            if isinstance(step, Affine):
                yield f"{step.name}/kernel", step.kernel_shape, step.kernel
                if step.bias is not None:
                    yield f"{step.name}/bias", step.kernel_shape[-1:], step.bias
            elif isinstance(step, AddConstant):
                yield f"{step.name}/constant", step.shape, step.constant

    @property
    def weights(self) -> Mapping[str, Shape]:
        """Name and shape of each weight that the workers hold shares of."""
        return {name: shape for name, shape, _ in self._weights()}

    def encode(self, weights: Mapping[str, Sequence[NDArray[np.floating]]]) -> dict[str, Floats]:
        """The workers' weights, as real numbers, from each Keras layer's own arrays in Keras's order."""
        doubles = {name: [np.asarray(array, np.float64) for array in arrays] for name, arrays in weights.items()}
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # what comes of it is refused as NaN
            return {name: make(doubles) for name, _, make in self._weights()}

    @property
    def depth(self) -> tuple[int, int]:
        """Products and ReLUs that follow one another on the way from the request to the answer, at most."""
        depths = [(0, 0)]
        for step in self.steps:
            products, relus = (max(depths[i][kind] for i in step.inputs) for kind in (0, 1))
            depths.append((products + isinstance(step, Affine), relus + isinstance(step, Rectify)))
        return depths[-1]
