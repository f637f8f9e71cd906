"""What any client learns: it asks about inputs of its choice, and fits a network of the known shape to the answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.extraction.network import INPUTS, UNITS, Weights

Floats = NDArray[np.float64]

REACH = 4.0
"""Inputs are drawn from -`REACH` to `REACH`, where every unit is active for some and not for others."""

STARTS = 20
"""At how many places the fit begins; it may end in a valley that is not the deepest."""

FIRST = 300
"""Answers by which the best of them is chosen."""

STEPS = 200

LARGEST_DAMPING = 1e12


def inputs(rows: int, seed: int) -> Floats:
    """What the client asks about."""
    return np.random.default_rng(seed).uniform(-REACH, REACH, (rows, INPUTS))


def units_of(kernel: Floats, bias: Floats, last: Floats) -> Floats:
    """Units as answers tell them: kernels with biases, (UNITS, INPUTS + 1), each times its weight in the last layer.

    That weight alone is not told: twice it, and half the kernel, is the same network.
    """
    return np.asarray(np.vstack([kernel, bias]).T * last[:, np.newaxis])


def fit(x: Floats, answers: Floats, seed: int) -> Floats:
    """The best of `STARTS` fits to the first answers, fitted to all of them."""
    rng = np.random.default_rng(seed)
    starts = (
        _Network(rng.normal(0, 0.5, (INPUTS + 1, UNITS)), rng.normal(0, 1, UNITS), float(answers.mean()))
        for _ in range(STARTS)
    )
    first = [_descend(x[:FIRST], answers[:FIRST], start) for start in starts]
    return _descend(x, answers, min(first, key=lambda found: found.error(x[:FIRST], answers[:FIRST]))).units


def worst_error(found: Floats, weights: Weights) -> float:
    """Of the unit that is found worst: how far it is from the nearest that was found, in parts of its size."""
    true = units_of(weights.kernel, weights.bias, weights.last)
    distances = np.linalg.norm(true[:, np.newaxis] - found, axis=2).min(1)
    return float((distances / np.linalg.norm(true, axis=1)).max())


@dataclass(frozen=True)
class _Network:
    """The last row of `kernel` is the bias."""

    kernel: Floats
    last: Floats
    offset: float

    @property
    def units(self) -> Floats:
        return units_of(self.kernel[:-1], self.kernel[-1], self.last)

    def hidden(self, x: Floats) -> Floats:
        return np.maximum(x @ self.kernel[:-1] + self.kernel[-1], 0)

    def error(self, x: Floats, answers: Floats) -> float:
        return float(((self.hidden(x) @ self.last + self.offset - answers) ** 2).sum())


def _descend(x: Floats, answers: Floats, network: _Network) -> _Network:
    """Levenberg and Marquardt's way down."""
    ones = np.hstack([x, np.ones((len(x), 1))])
    damping, error = 1.0, network.error(x, answers)
    for _ in range(STEPS):
        values = network.hidden(x)
        active = (values > 0) * network.last
        by_kernel = (ones[:, :, np.newaxis] * active[:, np.newaxis]).reshape(len(x), -1)
        jacobian = np.hstack([by_kernel, values, ones[:, -1:]])
        normal = jacobian.T @ jacobian
        downhill = jacobian.T @ (values @ network.last + network.offset - answers)
        while damping < LARGEST_DAMPING:
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), downhill)
            kernel = network.kernel - step[: network.kernel.size].reshape(network.kernel.shape)
            tried = _Network(kernel, network.last - step[kernel.size : -1], network.offset - float(step[-1]))
            if (now := tried.error(x, answers)) < error:
                break
            damping *= 2
        else:
            return network
        network, gained, error, damping = tried, error - now, now, max(damping / 3, 1e-12)
        if gained < 1e-9 * error:
            return network
    return network
