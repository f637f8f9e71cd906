"""Which values a network can reach, for every input of a declared range: what fixed point cannot carry is found here.

Interval arithmetic over the lowered steps, element by element, on the very numbers that the workers compute with:
weights are rounded as they are shared, and each truncation adds its unit. Beside each interval goes a bound on how far
the fixed point value is from that of the same steps in real numbers. All of it is sound: sums in floating point are
widened by more than they can have been rounded.

Intervals know nothing of how values depend on each other, so bounds grow with every layer. Only where several steps are
one function they are taken together: the larger and the smaller of two, and curves that are sums of ReLUs (`curve`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from triveni.mpc.architecture import INPUT
from triveni.mpc.fixedpoint import FixedPoint
from triveni.mpc.input_range import InputRange
from triveni.mpc.lowering import Network, steps
from triveni.mpc.lowering.steps import Affine, Floats, Step
from triveni.mpc.ranges.value import OTHER_TERMS, ROUNDING, Value, added, linear, moved

__all__ = ["DoesNotFit", "Ranges", "Reach", "analyse", "power"]


@dataclass(frozen=True, slots=True)
class Reach:
    """Something that a protocol needs to be small: what it can be, and what it may be.

    Attributes:
        layer: the Keras layer that it belongs to.
        what: in words.
        bound: its absolute value is at most this; NaN if nothing is known.
        below: what it has to be below.
    """

    layer: str
    what: str
    bound: float
    below: float

    @property
    def fits(self) -> bool:
        """Whether it is small enough for certain."""
        return self.bound < self.below


@dataclass(frozen=True, slots=True)
class Ranges:
    """What is found out about a network whose values all fit.

    Attributes:
        reaches: everything that needs to be small, in the order of computation.
        error: an answer differs from that of the same steps in real numbers by at most this.
        chance: that the truncation of any product of one row fails all the same is at most this.
    """

    reaches: tuple[Reach, ...]
    error: float
    chance: float

    @property
    def narrowest(self) -> Reach:
        """What comes nearest to its limit."""
        return max(self.reaches, key=lambda reach: reach.bound / reach.below)


@dataclass(eq=False)
class DoesNotFit(ValueError):
    """The first value of a network that may be too large for the protocol."""

    reach: Reach

    def __str__(self) -> str:
        reach = self.reach
        return f"layer '{reach.layer}': {reach.what} may be {power(reach.bound)}, less than {power(reach.below)} fits"


def power(value: float) -> str:
    """A number as a power of two, such as 2^11.1."""
    return f"2^{math.log2(value):.1f}".removesuffix(".0") if 0 < value < math.inf else f"{value:g}"


def analyse(network: Network, weights: Mapping[str, Floats], numbers: FixedPoint, inputs: InputRange) -> Ranges:
    """Bound all that a protocol needs to be small, for rows whose elements are in `inputs`.

    Args:
        network: the steps.
        weights: as `Network.encode` gives them.
        numbers: the fixed point of the protocol.
        inputs: the declared range.

    Raises:
        OutOfRange: a weight is too large to be encoded.
        DoesNotFit: a value may be too large.
    """
    return _Analysis(weights, numbers).run(network, inputs)


DITHERED = 2.5
"""Units that a truncation is wrong by, at most, where each two workers add a dither of up to half a unit."""


class _Analysis:
    def __init__(self, weights: Mapping[str, Floats], numbers: FixedPoint) -> None:
        self._weights = weights
        self._numbers = numbers
        self._reaches: list[Reach] = []
        self._chance = 0.0
        self._units = 1.0
        """What a truncation is wrong by, at most."""

    def run(self, network: Network, inputs: InputRange) -> Ranges:
        numbers, all_steps = self._numbers, network.steps
        if any(isinstance(step, steps.RoundOff) for step in all_steps):
            self._units = DITHERED
        largest_input = max(-inputs.min, inputs.max)
        if largest_input > numbers.max_magnitude:
            raise DoesNotFit(Reach(INPUT, "an input", largest_input, numbers.max_magnitude))
        low, high = numbers.decode(numbers.encode([inputs.min, inputs.max], "inputRange"))
        answer = Value(np.stack([np.full(network.input_shape, end) for end in (low, high, numbers.unit / 2)]))
        values, layer = {0: answer}, INPUT
        last_use = {source: number for number, reads in enumerate(_reads(all_steps), 1) for source in reads}
        with np.errstate(over="ignore", invalid="ignore"):  # a bound that is infinite or NaN does not fit
            for number, step in enumerate(all_steps, 1):
                answer, layer = self._after(all_steps, step, values), step.layer
                values[number] = answer
                for source in [source for source in values if last_use.get(source) == number]:
                    del values[source]
            self._need(layer, "the answer", answer, numbers.revealed_below)
        return Ranges(tuple(self._reaches), float(answer.error.max()), min(self._chance, 1.0))

    def _need(self, layer: str, what: str, value: Value, below: float) -> None:
        reach = Reach(layer, what, float(value.magnitude.max()), below)
        if not reach.fits:
            raise DoesNotFit(reach)
        self._reaches.append(reach)

    def _after(self, all_steps: Sequence[Step], step: Step, values: Mapping[int, Value]) -> Value:
        x = values[step.inputs[0]]
        match step:
            case steps.Linear() | steps.Convolution():
                return self._product(step, x)
            case steps.AddConstant():
                return self._plus(x, f"{step.name}/constant")
            case steps.Rectify():
                self._need(step.layer, "what is compared", x, self._numbers.compared_below)
                curve = x.curve and x.curve.rectified()
                return Value.of(np.maximum(x.low, 0), np.maximum(x.high, 0), x.error, curve)
            case steps.Sum():
                if (extreme := _extreme(all_steps, step)) is not None:
                    choose, a, b = extreme[0], values[extreme[1]], values[extreme[2]]
                    return Value.of(choose(a.low, b.low), choose(a.high, b.high), np.maximum(a.error, b.error))
                pairs = zip(step.coefficients, step.inputs, strict=True)
                return added([values[source].times(number) for number, source in pairs])
            case steps.RoundOff():
                # Truncated as a product is, but its word has half of a product's fractional bits, or fewer.
                self._need(step.layer, "the answer", x, self._numbers.revealed_below / 2)
                self._chance += float(x.magnitude.sum()) * self._numbers.chance * self._numbers.unit
                return x.widened(self._units * 2.0**-step.fractional_bits)
        return moved(step, [values[source] for source in step.inputs])

    def _product(self, step: Affine, x: Value) -> Value:
        kernel, rounding = self._encoded(f"{step.name}/kernel")
        relative = (math.prod(step.kernel_shape[:-1]) + OTHER_TERMS) * ROUNDING
        (middle,) = linear(step, ((x.low + x.high) / 2)[np.newaxis], kernel)
        half, size, error = linear(step, np.stack([(x.high - x.low) / 2, x.magnitude, x.error]), np.abs(kernel))
        if rounding.any():
            error = error + linear(step, (x.magnitude + x.error)[np.newaxis], rounding)[0]
        slack = relative * (size + error)
        product = Value.of(middle - half, middle + half, error).widened(slack)
        self._need(step.layer, "a product", product, self._numbers.truncated_below)
        self._chance += float((product.magnitude + self._units * self._numbers.unit).sum()) * self._numbers.chance
        rounding_off = self._units * self._numbers.unit
        truncated = product.widened(rounding_off)
        if isinstance(step, steps.Linear) and x.curve and x.rows.ndim == x.curve.low.ndim + 2:
            noise = x.curve.noise * float(np.abs(kernel).sum(axis=0).max()) + float(slack.max()) + rounding_off
            truncated = Value(truncated.rows, x.curve.then(lambda v: v @ kernel, noise))
        return truncated if step.bias is None else self._plus(truncated, f"{step.name}/bias")

    def _plus(self, x: Value, name: str) -> Value:
        constant, rounding = self._encoded(name)
        slack = OTHER_TERMS * ROUNDING * (x.magnitude + x.error + np.abs(constant))
        curve = x.curve and x.curve.shifted(constant, x.curve.noise + float(slack.max()))
        return Value.of(x.low + constant, x.high + constant, x.error + rounding, curve).widened(slack)

    def _encoded(self, name: str) -> tuple[Floats, Floats]:
        """A weight as it is shared, and how far that is from what it should be."""
        exact = np.asarray(self._weights[name], np.float64)
        encoded = self._numbers.decode(self._numbers.encode(exact, name))
        return encoded, np.abs(encoded - exact)


Choose = Callable[[Floats, Floats], Floats]


def _extreme(all_steps: Sequence[Step], step: Step) -> tuple[Choose, int, int] | None:
    """What a sum chooses from, where it is the end of max(a, b) = b + relu(a - b) or min(a, b) = a - relu(a - b)."""
    match step:
        case steps.Sum(inputs=(kept, rectified), coefficients=(1, 1 | -1 as sign)) if rectified:
            rectify = all_steps[rectified - 1]
            if isinstance(rectify, steps.Rectify) and rectify.inputs[0]:
                match all_steps[rectify.inputs[0] - 1]:
                    case steps.Sum(inputs=(a, b), coefficients=(1, -1)) if kept == (b if sign == 1 else a):
                        return (np.maximum if sign == 1 else np.minimum), a, b
    return None


def _reads(all_steps: Sequence[Step]) -> Iterator[set[int]]:
    """The values that are needed for each step."""
    for step in all_steps:
        extreme = _extreme(all_steps, step)
        yield {*step.inputs, *(extreme[1:] if extreme else ())}
