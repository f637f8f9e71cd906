"""A small picture in the terminal: two pixels to a character, half blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Text

MAX_SIDE = 64


def drawable(values: NDArray[Any]) -> NDArray[np.float32] | None:
    """The brightness (height, width) in [0, 1] of an image small enough to draw; None of anything else."""
    if values.ndim == 3:
        values = values.mean(axis=-1)
    if values.ndim != 2 or max(values.shape) > MAX_SIDE or min(values.shape) < 2:
        return None
    brightness: NDArray[np.float32] = np.clip(np.nan_to_num(values), 0, 1).astype(np.float32)
    return brightness


def draw(brightness: NDArray[np.float32], *, colour: bool) -> list[Text]:
    """The picture, a text for each two lines of pixels: in greys, or without `colour` in black and white."""
    height, width = brightness.shape
    pixels = np.zeros((height + height % 2, width), np.float32)
    pixels[:height] = brightness
    pairs = pixels.reshape(-1, 2, width).transpose(0, 2, 1)
    return [Text.assemble(*(_block(top, bottom, colour) for top, bottom in row)) for row in pairs.tolist()]


def _block(top: float, bottom: float, colour: bool) -> tuple[str, Style]:
    if colour:
        return "▀", Style(color=_grey(top), bgcolor=_grey(bottom))
    return " ▄▀█"[2 * (top > 0.4) + (bottom > 0.4)], Style.null()


def _grey(value: float) -> Color:
    level = round(value * 255)
    return Color.from_rgb(level, level, level)
