"""The range that the owner of a model declares for its inputs: every element of every row is within it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class InputRange:
    """From `min` to `max`, both included; finite, and `min` is the smaller one."""

    min: float
    max: float

    def __str__(self) -> str:
        return f"{self.min:g} to {self.max:g}"

    def document(self) -> dict[str, float]:
        """For messages in JSON."""
        return {"min": self.min, "max": self.max}

    @classmethod
    def parse(cls, text: str) -> Self:
        """The range of a text like ``0,1``.

        Raises:
            ValueError: it is none.
        """
        low, comma, high = text.partition(",")
        if not comma:
            raise ValueError("two numbers with a comma between them are needed")
        return cls.read({"min": float(low), "max": float(high)})

    @classmethod
    def read(cls, document: Any) -> Self:
        """The range of a `document`.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(document, dict) or set(document) != {"min", "max"}:
            raise ValueError("an object with min and max is needed")
        low, high = document["min"], document["max"]
        if not all(type(value) in (int, float) and math.isfinite(value) for value in (low, high)) or low >= high:
            raise ValueError("two numbers are needed, min less than max")
        return cls(float(low), float(high))
