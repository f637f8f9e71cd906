"""Amounts of a resource as Kubernetes writes them: `500m`, `1.5`, `2Gi`, `3`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_LENGTH = 32

PATTERN = r"^[+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"

_PARTS = re.compile(r"[+]?(?P<number>[0-9.]+)(?:(?P<unit>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[-+]?[0-9]+))?")

_UNITS = {unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", *"MGTPE"), -3)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def _checked(value: Any) -> Any:
    """One error for a value that is neither of the two forms, not one for each."""
    text = isinstance(value, str) and len(value) <= MAX_LENGTH and re.fullmatch(PATTERN.removesuffix("$"), value)
    if not (text or (type(value) is int and value >= 0)):
        raise PydanticCustomError("quantity", "is not a quantity")
    return value


Quantity = Annotated[
    str | int,
    BeforeValidator(_checked),
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "pattern": PATTERN, "minimum": 0, "maxLength": MAX_LENGTH},
    ),
]


def amount(quantity: str | int) -> Decimal:
    """The number that a valid quantity stands for."""
    parts = _PARTS.fullmatch(str(quantity))
    assert parts is not None
    number = Decimal(parts["number"])
    return number.scaleb(int(parts["exponent"])) if parts["exponent"] else number * _UNITS[parts["unit"] or ""]
