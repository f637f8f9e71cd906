"""Layers that move elements, and layers of several inputs, as steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from triveni.mpc.architecture import Add, Average, Concatenate, Maximum, Minimum, Permute, Subtract
from triveni.mpc.architecture.merging import Merging
from triveni.mpc.architecture.moving import Cropping, UpSampling, ZeroPadding
from triveni.mpc.lowering.draft import Draft, Scale
from triveni.mpc.lowering.pooling import larger
from triveni.mpc.lowering.steps import Join, Pad, Rectify, Repeat, Slice, Sum, Transpose


def permute(draft: Draft, layer: Permute, value: int) -> int:
    """The axes in another order."""
    return draft.add(Transpose((value,), tuple(axis - 1 for axis in layer.dims)))


def zero_padding(draft: Draft, layer: ZeroPadding, value: int) -> int:
    """Zeros around each spatial axis."""
    return draft.add(Pad((value,), (*layer.pads, (0, 0))))


def cropping(draft: Draft, layer: Cropping, value: int) -> int:
    """A slice of each spatial axis."""
    shape = draft.shapes[value]
    stops = (size - after for size, (_, after) in zip(shape[:-1], layer.pads, strict=True))
    return draft.add(Slice((value,), (*(before for before, _ in layer.pads), 0), (*stops, shape[-1])))


def up_sampling(draft: Draft, layer: UpSampling, value: int) -> int:
    """Each element repeated, axis by axis."""
    for axis, times in enumerate(layer.size):
        if times > 1:
            value = draft.add(Repeat((value,), axis, times))
    return value


def concatenate(draft: Draft, layer: Concatenate, values: Sequence[int]) -> int:
    """The values one behind the other."""
    return draft.add(Join(tuple(values), layer.axis))


def merge(draft: Draft, layer: Merging, values: Sequence[int]) -> int:
    """The sum, the difference, the mean, the largest or the smallest of values of one shape."""
    match layer:
        case Add():
            return draft.add(Sum(tuple(values), (1,) * len(values)))
        case Subtract():
            return draft.add(Sum(tuple(values), (1, -1)))
        case Average():
            total = draft.add(Sum(tuple(values), (1,) * len(values)))
            return draft.add(Scale((total,), layer.name, 1 / len(values)))
        case Maximum():
            return _tournament(draft, values, larger)
        case Minimum():
            return _tournament(draft, values, _smaller)
    raise AssertionError(layer)


def _smaller(draft: Draft, a: int, b: int) -> int:
    """min(a, b) = a - relu(a - b)."""
    difference = draft.add(Sum((a, b), (1, -1)))
    return draft.add(Sum((a, draft.add(Rectify((difference,)))), (1, -1)))


def _tournament(draft: Draft, values: Sequence[int], better: Callable[[Draft, int, int], int]) -> int:
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=False)
        values = [*(better(draft, a, b) for a, b in pairs), *values[len(values) // 2 * 2 :]]
    return values[0]
