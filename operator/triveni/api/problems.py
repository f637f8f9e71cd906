"""What is wrong with a SecureModel, in words: the field, its value, the way out.

This is the one place where a failed validation becomes text for people, whoever shows it (command line, condition).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from triveni.api.securemodel import API_VERSION, SecureModel

LABEL_RULE = "use small letters, digits and '-', starting with a letter and ending with a letter or digit"

RULES: Mapping[str, tuple[str, str]] = {
    "apiVersion": ("an API version that this triveni reads", f"write {API_VERSION}"),
    "kind": ("the kind that belongs here", "write SecureModel"),
    "metadata.name": ("a name for a SecureModel", f"{LABEL_RULE}, at most 50 characters"),
    "metadata.namespace": ("a namespace", f"{LABEL_RULE}, at most 63 characters"),
    "spec.requestQuota": ("a request quota", "give a whole number of at least 1 or leave it out"),
    "spec.protocol": ("a protocol", "use ABY3"),
    "spec.recovery": ("a way to recover", "use Reshare (share again) or Never (stop)"),
    "spec.batching.maxRows": ("a number of rows to run together", "give a whole number from 1 to 256"),
    "spec.model.digest": ("a digest", "write sha256: and 64 hexadecimal digits, as sha256sum prints them"),
    "spec.model.source.configMap.key": ("a key of a ConfigMap", "use letters, digits, '-', '_' and '.'"),
    "spec.model.source.secret.key": ("a key of a Secret", "use letters, digits, '-', '_' and '.'"),
    "spec.model.source.file.path": ("a path", "give the path of a .keras file, relative to the manifest"),
}
"""For each field that has a rule of its own: what its value has to be, and what to write."""

MISSING: Mapping[str, str] = {
    "apiVersion": f"write apiVersion: {API_VERSION}",
    "kind": "write kind: SecureModel",
    "metadata": "add metadata with a name",
    "spec": "add spec with model.source",
    "spec.model": "add model with a source",
    "spec.model.source": "add one of configMap, secret or file",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `field` is a dotted path, `what` says it with the value, `way_out` what to do."""

    field: str
    what: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.field}: {self.what}; {self.way_out}"


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Everything that is wrong with a SecureModel, one problem for each field."""
    return tuple(_problem(details) for details in error.errors(include_url=False))


def shown(value: object) -> str:
    """A value as it stands in YAML, on one line and never long, however large or deep it is."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    text = json.dumps(value, default=str, ensure_ascii=False) if not isinstance(value, str) else f"'{value}'"
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _problem(error: ErrorDetails) -> Problem:
    path = tuple(str(part) for part in error["loc"])
    field = ".".join(path) or "the document"
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return Problem(field, "is not a field", _nearest(path))
        case "missing":
            return Problem(field, "is missing", MISSING.get(field, f"add {path[-1]}"))
        case "no_source":
            return Problem(field, "names no source", "give one of configMap, secret or file")
        case "several_sources":
            return Problem(field, f"names {context['given']}", "a model has one source, keep one of them")
        case "protocol_not_built":
            return Problem(field, "SecureNN is not available in this version", "use ABY3")
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            return Problem(field, f"{shown(value)} is not a mapping", "write its fields below it, indented")
        case "string_type" if field not in RULES or isinstance(value, int | float):
            return Problem(field, f"{shown(value)} is not text", "put it in quotes")
    what, way_out = RULES.get(field, ("valid here", error["msg"]))
    return Problem(field, f"{shown(value)} is not {what}", way_out)


def _nearest(path: tuple[str, ...]) -> str:
    """The way out for an unknown field: the one that was probably meant, or all that there are."""
    *above, name = path
    known = {field: ".".join(field) for field in _fields(SecureModel)}
    if elsewhere := [text for field, text in known.items() if field[-1] == name]:
        return f"did you mean {elsewhere[0]}?"
    here = [field[-1] for field in known if field[:-1] == tuple(above)]
    lower = {field.lower(): field for field in here}
    close = [f for f in lower if name.lower() in f] or difflib.get_close_matches(name.lower(), lower, 1)
    if close:
        return f"did you mean {lower[close[0]]}?"
    return f"the fields of {'.'.join(above) or 'a SecureModel'} are {', '.join(here)}"


def _fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        field = (*above, to_camel(name))
        yield field
        for inner in _models(info.annotation):
            yield from _fields(inner, field)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            yield candidate
