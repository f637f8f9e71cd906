"""The chart's values as its files say them: values.yaml with its comments, the schema, the table in the README."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[3] / "charts" / "triveni"

KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):")
TABLE = re.compile(r"(<!-- values: [^\n]*-->\n)(.*)(<!-- end of values -->\n)", re.DOTALL)


@dataclass(frozen=True)
class Value:
    """One that may be set: its path, its default and what is written above it."""

    path: str
    default: Any
    text: str


def defaults() -> dict[str, Any]:
    document = yaml.safe_load((CHART / "values.yaml").read_text())
    assert isinstance(document, dict)
    return document


def documented() -> list[Value]:
    """All values with a comment that begins with two dashes, in the order of the file."""
    values, parents, text = [], list[str](), list[str]()
    for line in (CHART / "values.yaml").read_text().splitlines():
        comment = line.strip().removeprefix("#").strip()
        if line.strip().startswith("# -- "):
            text = [comment.removeprefix("-- ")]
        elif line.strip().startswith("#") and text:
            text.append(comment)
        elif found := KEY.match(line):
            parents = [*parents[: len(found["indent"]) // 2], found["key"]]
            if text:
                values.append(Value(".".join(parents), at(defaults(), parents), " ".join(text)))
            text = []
    return values


def at(document: Any, path: list[str]) -> Any:
    for key in path:
        document = document[key]
    return document


def leaves(document: Mapping[str, Any], known: set[str], parents: str = "") -> Iterator[str]:
    """The paths of a document's values; what is `known` is one, however much is in it."""
    for key, value in document.items():
        path = f"{parents}{key}"
        if isinstance(value, dict) and value and path not in known:
            yield from leaves(value, known, f"{path}.")
        else:
            yield path


def table() -> str:
    """What stands in the README."""
    rows = [f"| `{value.path}` | `{json.dumps(value.default)}` | {value.text} |\n" for value in documented()]
    return "\n| value | default | meaning |\n|---|---|---|\n" + "".join(rows) + "\n"


def schema() -> dict[str, Any]:
    document = json.loads((CHART / "values.schema.json").read_text())
    assert isinstance(document, dict)
    return document
