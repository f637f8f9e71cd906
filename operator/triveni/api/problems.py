"""What is wrong with a SecureModel, in words: the field, its value, the way out.

This is the one place where a failed validation becomes text for people, whoever shows it (command line, condition).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from triveni.api.model_source import BUCKET, ENDPOINT, REGION, SOURCES, URL
from triveni.api.names import DATA_KEY, DIGEST, IMAGE, LABEL_KEY, LABEL_VALUE, MAX_NAME, OBJECT_NAME
from triveni.api.securemodel import API_VERSION, Protocol, SecureModel

_PASSWORD = re.compile(r"//[^/@]*@")

LABEL_RULE = "use small letters, digits and '-', starting with a letter and ending with a letter or digit"

SOURCE_CHOICE = f"one of {', '.join(SOURCES)} or, for a run on one machine, file"

Rule = tuple[str, str]
"""What a value has to be, and what to write."""

RULES: Mapping[str, Rule] = {
    "apiVersion": ("an API version that this triveni reads", f"write {API_VERSION}"),
    "kind": ("the kind that belongs here", "write SecureModel"),
    "metadata.name": ("a name for a SecureModel", f"{LABEL_RULE}, at most {MAX_NAME} characters"),
    "metadata.namespace": ("a namespace", f"{LABEL_RULE}, at most 63 characters"),
    "spec.requestQuota": ("a request quota", "give a whole number of at least 1 or leave it out"),
    "spec.protocol": ("a protocol", f"use {' or '.join(get_args(Protocol))}"),
    "spec.recovery": ("a way to recover", "use Reshare (share again) or Never (stop)"),
    "spec.batching.maxRows": ("a number of rows to run together", "give a whole number from 1 to 256"),
    "spec.answer.fractionalBits": ("a number of places", "give a whole number from 0 to 16 or leave it out"),
    "spec.model.source.file.path": ("a path", "give the path of a .keras file, relative to the manifest"),
    "spec.workers.independence": ("an independence", "use Preferred, or Required (a worker waits for a place)"),
    "spec.ttlSecondsAfterFinished": ("a time", "give a whole number of seconds, at least 0, or leave it out"),
}
"""Of the fields that have a rule of their own."""

KINDS: Mapping[str, Rule] = {
    DIGEST: ("a digest", "write sha256: and 64 hexadecimal digits, as sha256sum prints them"),
    OBJECT_NAME: (
        "the name of an object",
        "use small letters, digits, '-' and '.', with a letter or digit at the ends",
    ),
    DATA_KEY: ("a key of a ConfigMap or a Secret", "use letters, digits, '-', '_' and '.'"),
    LABEL_KEY: ("the name of a label", "write it like app or example.com/app"),
    LABEL_VALUE: ("the value of a label", "use letters, digits, '-', '_' and '.', at most 63 characters"),
    IMAGE: ("the name of an image", "write it like registry.example.com/triveni-worker:0.1.0"),
    URL: ("an address that can be fetched", "write https://HOST/PATH without a user, a password or a #fragment"),
    ENDPOINT: ("the address of a store", "write https://HOST or https://HOST:PORT, the bucket goes into bucket"),
    BUCKET: ("the name of a bucket", "use 3 to 63 small letters, digits, '-' and '.'"),
    REGION: ("a region", "write it like us-east-1"),
}
"""Of the kinds of text, by their patterns."""

MISSING: Mapping[str, str] = {
    "apiVersion": f"write apiVersion: {API_VERSION}",
    "kind": "write kind: SecureModel",
    "metadata": "add metadata with a name",
    "spec": "add spec with model.source",
    "spec.model": "add model with a source",
    "spec.model.source": f"add {SOURCE_CHOICE}",
}

BOUNDS: Mapping[str, tuple[str, str, str]] = {
    "greater_than_equal": ("ge", "too small", "give at least {}"),
    "less_than_equal": ("le", "too large", "give at most {}"),
    "string_too_short": ("min_length", "too short", "give at least {} characters"),
    "string_too_long": ("max_length", "too long", "give at most {} characters"),
    "too_long": ("max_length", "too long", "give at most {} entries"),
}
"""Of the types of errors about a bound: where the bound is, what is wrong, what to do."""


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
    """A value as it stands in YAML, on one line and never long, and without the password that an address may hold."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    text = json.dumps(value, default=str, ensure_ascii=False) if not isinstance(value, str) else f"'{value}'"
    text = _PASSWORD.sub("//...@", " ".join(text.split()))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _problem(error: ErrorDetails) -> Problem:
    path = tuple(error["loc"])
    field, value, context = _dotted(path), error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return Problem(field, "is not a field", _nearest(path))
        case "missing":
            return Problem(field, "is missing", MISSING.get(field, f"add {path[-1]}"))
        case "null":
            return Problem(field, "is null", "give a value, or leave it out")
        case "no_source":
            return Problem(field, "names no source", f"give {SOURCE_CHOICE}")
        case "several_sources":
            return Problem(field, f"names {context['given']}", "a model has one source, keep one of them")
        case "rule":
            return Problem(field, context["what"], context["way_out"])
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            return Problem(field, f"{shown(value)} is not a mapping", "write its fields below it, indented")
        case "sequence_str" | "is_instance_of" | "list_type":
            return Problem(field, f"{shown(value)} is not a list", "write its entries below it, each after '- '")
        case "string_type" if field not in RULES or isinstance(value, int | float):
            return Problem(field, f"{shown(value)} is not text", "put it in quotes")
        case "float_type" | "finite_number":
            return Problem(field, f"{shown(value)} is not a number", "write one, without quotes")
        case "bool_type":
            return Problem(field, f"{shown(value)} is not true or false", "write one of them, without quotes")
        case "quantity":
            return Problem(field, f"{shown(value)} is not an amount", "write it like 500m, '1.5' (in quotes) or 2Gi")
        case "literal_error" if field not in RULES:
            choices = context["expected"].replace("'", "")
            return Problem(field, f"{shown(value)} is not possible", f"use {choices}")
        case kind if kind in BOUNDS and field not in RULES:
            name, what, way_out = BOUNDS[kind]
            bound = context[name]
            whole = int(bound) if bound == int(bound) else bound
            return Problem(field, f"{shown(value)} is {what}", way_out.format(whole))
    what, way_out = RULES.get(field) or KINDS.get(str(context.get("pattern"))) or ("valid here", error["msg"])
    return Problem(field, f"{shown(value)} is not {what}", way_out)


def _dotted(path: Sequence[int | str]) -> str:
    """A path as people write it: `spec.clients[0].podSelector`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path if part != "[key]")
    return text.removeprefix(".") or "the document"


def _nearest(path: Sequence[int | str]) -> str:
    """The way out for an unknown field: the one that was probably meant, or all that there are."""
    *above, name = (part for part in path if isinstance(part, str))
    known = {field: ".".join(field) for field in _fields(SecureModel)}
    here = [field[-1] for field in known if field[:-1] == tuple(above)]
    lower = {field.lower(): field for field in here}
    close = [f for f in lower if name.lower() in f] or difflib.get_close_matches(name.lower(), lower, 1)
    if close:
        return f"did you mean {lower[close[0]]}?"
    elsewhere = [text for field, text in known.items() if field[-1] == name]
    if len(elsewhere) == 1:
        return f"did you mean {elsewhere[0]}?"
    if not here:
        return f"leave it out, {'.'.join(above)} has no fields"
    return f"the fields of {'.'.join(above) or 'a SecureModel'} are {', '.join(here)}"


def _fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        field = (*above, to_camel(name))
        yield field
        for inner in _models(info.annotation):
            yield from _fields(inner, field)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
