"""The reference of the chart's values: the table that its README has from values.yaml, with what the schema adds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.generate.markdown import document

CHART = Path(__file__).parents[2] / "charts" / "triveni"
TABLE = re.compile(r"<!-- values: [^\n]*-->\n(.*)<!-- end of values -->\n", re.DOTALL)
VALUE = re.compile(r"^\| `(?P<path>[^`]+)` \|")

INTRO = """# Chart values

Of `charts/triveni`, made from its `values.yaml` and `values.schema.json`. A value that is not here is refused
by the schema."""


def page() -> str:
    """The whole page."""
    found = TABLE.search((CHART / "README.md").read_text())
    if not found:
        raise SystemExit("charts/triveni/README.md has no table of values")
    schema = json.loads((CHART / "values.schema.json").read_text())
    lines = found[1].strip().splitlines()
    return document(INTRO, "\n".join(_with_choices(line, schema) for line in lines))


def _with_choices(line: str, schema: Mapping[str, Any]) -> str:
    """A line of the table; where the schema names the values that are possible, and the text does not, with them."""
    value = VALUE.match(line)
    choices = _field(schema, value["path"].split(".")).get("enum", ()) if value else ()
    missing = [str(choice) for choice in choices if f"`{choice}`" not in line]
    return line if not missing else f"{line.rstrip(' |')} One of {', '.join(f'`{c}`' for c in choices)}. |"


def _field(schema: Mapping[str, Any], path: list[str]) -> Mapping[str, Any]:
    whole, field = schema, schema
    for key in path:
        field = field.get("properties", {}).get(key, {})
        while "$ref" in field:
            field = whole["$defs" if "$defs" in whole else "definitions"][field["$ref"].rsplit("/", 1)[1]]
    return field
