"""The reference of the SecureModel: every field of the definition, as the API server gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.markdown import code, document, plain, table
from triveni.api.crd import COLUMNS, crd
from triveni.api.strict import RULES

Schema = Mapping[str, Any]

INTRO = """# SecureModel

`triveni.dev/v1alpha1`, namespaced, short name `smodel`. Made from the types in `operator/triveni/api`, which are also
what reads manifests; `kubectl explain securemodel.spec` says the same on a cluster. A field that is not here is
refused."""


def page() -> str:
    """The whole page."""
    version = crd()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    rules = [f"- {plain(rule['message'])}" for rule in schema[RULES]]
    return document(
        INTRO,
        plain(schema["description"]),
        "\n".join(rules),
        *_objects("spec", schema["properties"]["spec"]),
        *_objects("status", schema["properties"]["status"]),
        "## What `kubectl get` shows {#columns}",
        table(
            ("column", "from", "meaning"),
            (
                (
                    c["name"] + (" (`-o wide`)" if c.get("priority") else ""),
                    code(c["jsonPath"]),
                    c.get("description", ""),
                )
                for c in COLUMNS
            ),
        ),
    )


def _objects(path: str, schema: Schema) -> Iterator[str]:
    """A section for this object, and one for each below it."""
    yield f"{'##' if '.' not in path else '###'} `{path}` {{#{path.replace('[]', '')}}}"
    yield plain(schema.get("description", ""))
    rules = dict.fromkeys(f"- {plain(rule['message'])}" for rule in schema.get(RULES, ()))
    if rules:
        yield "Rules:\n\n" + "\n".join(rules)
    required = set(schema.get("required", ()))
    fields = schema.get("properties", {})
    yield table(
        ("field", "type", "default", "meaning"),
        (
            (_name(path, name, field), _type(field), _default(field, name in required), _meaning(field))
            for name, field in fields.items()
        ),
    )
    for name, field in fields.items():
        inner = field.get("items", field)
        if inner.get("properties"):
            yield from _objects(f"{path}.{name}{'[]' if 'items' in field else ''}", inner)


def _name(path: str, name: str, field: Schema) -> str:
    if field.get("items", field).get("properties"):
        return f"[`{name}`](#{path.replace('[]', '')}.{name})"
    return code(name)


def _type(field: Schema) -> str:
    kind = field.get("type", "any")
    if "enum" in field:
        return " or ".join(code(str(value)) for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        kind = "number or text"
    if kind == "array":
        return f"list of {_type(field['items'])}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"map to {_type(field['additionalProperties'])}"
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, kind)


def _default(field: Schema, required: bool) -> str:
    if "default" in field:
        default = field["default"]
        # What an object consists of by default is said in its own section.
        return code(json.dumps(default)) if not isinstance(default, dict) or not field.get("properties") else ""
    return "required" if required else ""


BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "maxProperties": "at most {} entries",
    "pattern": "must match `{}`",
}


LONG = 40
"""A pattern as long as that tells nobody anything; what is refused is told in words."""


def _meaning(field: Schema) -> str:
    said = plain(field.get("description", ""))
    bounds = [text.format(field[key]) for key, text in BOUNDS.items() if len(str(field.get(key, " " * LONG))) < LONG]
    bounds += [plain(rule["message"]) for rule in field.get(RULES, ()) if not field.get("properties")]
    return " ".join(filter(None, (said, f"({'; '.join(bounds)})" if bounds else "")))
