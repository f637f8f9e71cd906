"""`--input-range MIN,MAX`: what all inputs of a model are within."""

from __future__ import annotations

from triveni.cli.errors import bad_input
from triveni.mpc.input_range import InputRange


def parsed(text: str | None) -> InputRange | None:
    """The range, None if none is given.

    Raises:
        CommandFailed: it is none.
    """
    if text is None:
        return None
    try:
        return InputRange.parse(text)
    except ValueError:
        raise bad_input(f"--input-range: '{text}' is no range; give two numbers, the smaller one first: 0,1") from None
