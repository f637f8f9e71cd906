"""What an answer means to a person: a class and its name, or the numbers in short."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.cli.errors import bad_input

MAX_SHOWN = 10
"""Numbers of an answer that are shown; JSON and npy hold all."""


def class_of(answer: NDArray[Any]) -> int | None:
    """The most likely class, if the answer is a row of several logits."""
    return int(np.argmax(answer)) if answer.ndim == 1 and answer.size > 1 else None


def in_short(answer: NDArray[Any]) -> str:
    """The class, or else the first few numbers."""
    most = class_of(answer)
    return str(most) if most is not None else " ".join(f"{value:.3f}" for value in answer.ravel()[:6])


def numbers(answer: NDArray[Any]) -> str:
    """The numbers, as far as they are shown."""
    flat = answer.ravel()
    more = f" ... {flat.size} in all" if flat.size > MAX_SHOWN else ""
    return f"[{' '.join(f'{value:.3f}' for value in flat[:MAX_SHOWN])}{more}]"


def read_labels(given: str) -> list[str]:
    """Names of classes: a file with one on each line or a JSON list, or the names themselves with commas between.

    Raises:
        CommandFailed: there are none.
    """
    path = Path(given)
    if path.is_file():
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise bad_input(f"--labels: {given} cannot be read as UTF-8; give a name on each line") from None
        if text.lstrip().startswith("["):
            try:
                names = [str(name) for name in json.loads(text)]
            except ValueError:
                raise bad_input(f"--labels: {given} is no JSON list; give a name on each line") from None
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
    elif "," in given:
        names = [name.strip() for name in given.split(",")]
    else:
        raise bad_input(f"--labels: there is no file {given}; give a file with a name on each line, or a,b,c")
    if not names:
        raise bad_input(f"--labels: {given} is empty; give a name on each line")
    return names


def require_fit(labels: Sequence[str], output_shape: tuple[int, ...]) -> None:
    """CommandFailed unless there is a name for each class of the model."""
    if len(output_shape) != 1:
        raise bad_input(
            f"--labels: the model answers with the shape {list(output_shape)}, not with classes; leave it out"
        )
    if len(labels) != output_shape[0]:
        raise bad_input(
            f"--labels: {len(labels)} names for {output_shape[0]} classes; give one for each, in their order"
        )
