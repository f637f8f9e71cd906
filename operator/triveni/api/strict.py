"""How the types of the SecureModel read and are written: strictly, in camel case; and the rules that a schema carries.

A rule stands twice beside the fields that it is about: as CEL, which the API server runs when an object is written, and
as a validator in Python, which reads manifests on this machine. The table of bad specs in the tests holds both
together.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

RULES = "x-kubernetes-validations"


class Strict(BaseModel):
    """Camel case on the wire, nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
    )


def _not_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null", "is null")
    return value


T = TypeVar("T")

Given = Annotated[T | None, BeforeValidator(_not_null)]
"""A field that may be left out. Written, it needs a value: the API server takes no null either."""


def rule(cel: str, message: str) -> dict[str, JsonValue]:
    """A rule of the schema: an expression over `self`, and what a person is told where it is false."""
    return {"rule": cel, "message": message}


def ruled(*rules: dict[str, JsonValue]) -> ConfigDict:
    """The configuration of a type, or of a list or map, with rules of its own."""
    return ConfigDict(json_schema_extra={RULES: list(rules)})


def broken(message: str, way_out: str) -> PydanticCustomError:
    """What a validator in Python raises where a rule is broken: what is wrong, and what to do."""
    return PydanticCustomError("rule", "{what}", {"what": message, "way_out": way_out})
