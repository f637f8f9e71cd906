"""Types as a structural schema: the dialect of OpenAPI 3 in which a CustomResourceDefinition describes its objects.

A structural schema says one type for each value and knows neither references nor alternatives. So references are
written out, an optional field is one that is not required, and a map whose keys have a pattern gets a rule for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from triveni.api.model_source import LOCAL_ONLY
from triveni.api.strict import RULES, rule

REFERENCE = "#/$defs/"

KEPT = (
    "description",
    "type",
    "format",
    "nullable",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    RULES,
    "required",
    "properties",
    "additionalProperties",
    "items",
)
"""What is taken over from a JSON schema, in the order in which a person reads it; anything else is left out."""

Schema = Mapping[str, Any]


def structural(model: type[BaseModel], *, defaults: bool = True) -> dict[str, Any]:
    """The structural schema of a type; without `defaults`, the API server fills in nothing."""
    document = model.model_json_schema(by_alias=True)
    return _converted(document, document.get("$defs", {}), defaults)


def _converted(schema: Schema, definitions: Mapping[str, Schema], defaults: bool) -> dict[str, Any]:
    found = _resolved(schema, definitions)
    if "const" in found:
        found |= {"enum": [found["const"]]}
    if found.get("type") == "integer":
        found |= {"format": "int64"}
    if "description" in found:
        found |= {"description": " ".join(found["description"].split())}
    if found.get("default") in (None, [], {}) or not defaults:
        found.pop("default", None)
    elif isinstance(found["default"], dict):
        found |= {"default": {}}  # each of its fields has a default of its own
    found.pop("additionalProperties", None)  # whether unknown fields may be there is for the API server to say
    found |= _map(found, definitions, defaults)
    if "items" in found:
        found |= {"items": _converted(found["items"], definitions, defaults)}
    if not found.get("properties"):
        found.pop("properties", None)  # as the API server itself leaves it out
    else:
        properties = {name: inner for name, inner in found["properties"].items() if not inner.get(LOCAL_ONLY)}
        found |= {"properties": {name: _converted(inner, definitions, defaults) for name, inner in properties.items()}}
    return {key: found[key] for key in KEPT if key in found}


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> dict[str, Any]:
    """The schema with its reference written out, and without the alternative of being null."""
    found = dict(schema)
    choices = [choice for choice in found.pop("anyOf", ()) if choice.get("type") != "null"]
    merged: dict[str, Any] = {}
    for choice in choices:
        merged |= _resolved(choice, definitions)
    if reference := found.pop("$ref", None):
        merged |= _resolved(definitions[reference.removeprefix(REFERENCE)], definitions)
    return merged | found


def _map(found: Schema, definitions: Mapping[str, Schema], defaults: bool) -> dict[str, Any]:
    """What makes an object a map: the schema of its values, and a rule for its keys if they have a pattern."""
    if patterns := found.get("patternProperties"):
        ((pattern, values),) = patterns.items()
        keys = rule(f"self.all(key, key.matches('{pattern}'))", "a key must be a label's name, such as example.com/app")
        return {"additionalProperties": _converted(values, definitions, defaults), RULES: [*found.get(RULES, ()), keys]}
    return {}
