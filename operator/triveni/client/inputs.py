"""Inputs, checked before anything is sent, as words of the ring. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triveni.client.errors import WrongInput
from triveni.mpc.fixedpoint import FixedPoint, OutOfRange
from triveni.mpc.input_range import InputRange

FIELD = "input"


def encode(
    x: ArrayLike, input_shape: tuple[int, ...], numbers: FixedPoint, within: InputRange | None = None
) -> tuple[NDArray[np.int64], bool]:
    """The rows of `x` in fixed point, shape (rows, *input_shape), and whether `x` was one row without that axis.

    Args:
        x: real numbers, shape (rows, *input_shape) or input_shape.
        numbers: those of the protocol.
        within: the range that the model's owner declares; beyond it answers may be wrong. None if there is none.

    Raises:
        WrongInput: no numbers, another shape, no rows, NaN, infinite, too large for the fixed point, or not `within`.
    """
    array = _array(x)
    if array.dtype.kind not in "fiub":
        raise WrongInput(FIELD, f"of type {array.dtype}", "real numbers (float, int or bool) are needed")
    single = array.shape == input_shape
    if array.ndim == 0 or (not single and array.shape[1:] != input_shape):
        shape = ", ".join(map(str, input_shape))
        raise WrongInput(FIELD, f"of shape {array.shape}", f"(rows, {shape}), or ({shape}) for one row, is needed")
    if array.size == 0:
        raise WrongInput(FIELD, "empty", "at least one row is needed")
    try:
        words = numbers.encode(array, FIELD)
    except OutOfRange as error:
        way_out = f"finite numbers of at most {error.at_most:g} can be sent"
        raise WrongInput(f"{FIELD}{list(error.index)}", error.problem, way_out) from error
    if within is not None:
        _require_within(array, within)
    return (words[np.newaxis] if single else words), single


def _require_within(array: NDArray[np.generic], within: InputRange) -> None:
    """The value itself is not told: errors end in logs."""
    reals = array.astype(np.float64)
    outside = np.argwhere((reals < within.min) | (reals > within.max))
    if len(outside):
        index = [int(i) for i in outside[0]]
        below = reals[tuple(index)] < within.min
        way_out = f"the model is served for inputs from {within}, beyond which answers may be wrong"
        raise WrongInput(f"{FIELD}{index}", "too small" if below else "too large", way_out)


def _array(x: ArrayLike) -> NDArray[np.generic]:
    try:
        return np.asarray(x)
    except ValueError as error:
        raise WrongInput(FIELD, "not rectangular", "all rows must have the same shape") from error
