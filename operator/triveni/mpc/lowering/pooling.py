"""Pooling layers as steps: means, and the largest as a tournament of max(a, b) = b + relu(a - b)."""

from __future__ import annotations

import math

from triveni.mpc.architecture.layer import Pads
from triveni.mpc.architecture.pooling import (
    AveragePooling,
    GlobalAveragePooling,
    GlobalMaxPooling,
    MaxPooling,
)
from triveni.mpc.lowering.draft import Draft, MeanPooling
from triveni.mpc.lowering.linear import as_before, as_image, two
from triveni.mpc.lowering.steps import Join, Rearrange, Rectify, Slice, Sum, Windows


def average(draft: Draft, layer: AveragePooling, value: int) -> int:
    """A mean of windows, which folding takes further."""
    pads = _image_pads(layer.pads(draft.shapes[value]))
    image = as_image(draft, value)
    step = MeanPooling((image,), layer.name, two(layer.pool_size), two(layer.strides), pads)
    return as_before(draft, layer.RANK, draft.add(step))


def global_average(draft: Draft, layer: GlobalAveragePooling, value: int) -> int:
    """The mean of one window as large as the image."""
    (after,) = (layer.output_shape([draft.shapes[value]]),)
    image = as_image(draft, value)
    height, width, _ = draft.shapes[image]
    step = MeanPooling((image,), layer.name, (height, width), (1, 1), ((0, 0), (0, 0)))
    return draft.add(Rearrange((draft.add(step),), after))


def largest(draft: Draft, layer: MaxPooling, value: int) -> int:
    """The largest of each window.

    Windows that do not overlap are one tournament, of the fewest rounds. Of windows that do, the largest of each column
    is found first, since the windows beside it need it too: about a third of the comparisons for 3x3.
    """
    pads = _image_pads(layer.pads(draft.shapes[value]))
    image = as_image(draft, value)
    for axis, pad in enumerate(pads):
        image = _repeat_ends(draft, image, axis, pad)
    (height, width), (down, right) = two(layer.pool_size), two(layer.strides)
    if height <= down and width <= right:
        image = _windows_largest(draft, image, (height, width), (down, right))
    else:
        image = _windows_largest(draft, image, (height, 1), (down, 1))
        image = _windows_largest(draft, image, (1, width), (1, right))
    return as_before(draft, layer.RANK, image)


def global_largest(draft: Draft, layer: GlobalMaxPooling, value: int) -> int:
    """One tournament of all places."""
    *places, channels = draft.shapes[value]
    after = layer.output_shape([draft.shapes[value]])
    flat = draft.add(Rearrange((value,), (math.prod(places), channels)))
    return draft.add(Rearrange((_largest_along(draft, flat, 0),), after))


def larger(draft: Draft, a: int, b: int) -> int:
    """max(a, b)."""
    difference = draft.add(Sum((a, b), (1, -1)))
    return draft.add(Sum((b, draft.add(Rectify((difference,)))), (1, 1)))


def part(draft: Draft, value: int, axis: int, start: int, stop: int) -> int:
    """The elements `start` to `stop` of an axis, the latter left out."""
    shape = draft.shapes[value]
    starts = tuple(start if other == axis else 0 for other in range(len(shape)))
    stops = tuple(stop if other == axis else size for other, size in enumerate(shape))
    return draft.add(Slice((value,), starts, stops))


def _windows_largest(draft: Draft, image: int, window: tuple[int, int], strides: tuple[int, int]) -> int:
    if window == strides == (1, 1):
        return image
    windows = draft.add(Windows((image,), window, strides))
    rows, columns, _, channels = draft.shapes[windows]
    return draft.add(Rearrange((_largest_along(draft, windows, 2),), (rows, columns, channels)))


def _largest_along(draft: Draft, value: int, axis: int) -> int:
    """The largest along an axis, which keeps one element: half against half, all at once."""
    while (size := draft.shapes[value][axis]) > 1:
        half = size // 2
        first, second = (part(draft, value, axis, start, start + half) for start in (0, half))
        winners = larger(draft, first, second)
        left_over = (part(draft, value, axis, 2 * half, size),) if size % 2 else ()
        value = draft.add(Join((winners, *left_over), axis)) if left_over else winners
    return value


def _repeat_ends(draft: Draft, image: int, axis: int, pad: tuple[int, int]) -> int:
    """Padding that is never the largest alone: the first and the last element again, which such windows hold anyway."""
    if not any(pad):
        return image
    size = draft.shapes[image][axis]
    first, last = part(draft, image, axis, 0, 1), part(draft, image, axis, size - 1, size)
    return draft.add(Join((*(first,) * pad[0], image, *(last,) * pad[1]), axis))


def _image_pads(pads: Pads) -> Pads:
    return ((0, 0), *pads) if len(pads) == 1 else pads
