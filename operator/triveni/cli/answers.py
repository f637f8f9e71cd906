"""What an answer means to a person."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def class_of(answer: NDArray[Any]) -> int | None:
    """The most likely class, if the answer is a row of several logits."""
    return int(np.argmax(answer)) if answer.ndim == 1 and answer.size > 1 else None


def in_short(answer: NDArray[Any]) -> str:
    """The class, or else the first few numbers."""
    most = class_of(answer)
    return str(most) if most is not None else " ".join(f"{value:.3f}" for value in answer.ravel()[:6])
