"""Every value of the chart is documented, is in the schema, and stands in the README."""

import os
from collections.abc import Iterator
from typing import Any

from tests.unit.chart.values import CHART, TABLE, defaults, documented, leaves, schema, table


def test_every_value_says_what_it_means() -> None:
    known = {value.path for value in documented()}
    assert list(leaves(defaults(), known)) == [value.path for value in documented()]


def test_every_meaning_is_a_sentence() -> None:
    for value in documented():
        assert value.text[0].isupper() or value.text[0] == "`", value.path
        assert value.text.endswith("."), value.path


def test_the_table_in_the_readme_is_the_one_of_the_values() -> None:
    readme = CHART / "README.md"
    text = readme.read_text()
    wanted = TABLE.sub(lambda found: found[1] + table() + found[3], text)
    if os.environ.get("UPDATE_GOLDEN"):
        readme.write_text(wanted)
    assert TABLE.search(wanted)
    assert readme.read_text() == wanted


def properties(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of the schema where keys are named."""
    if "properties" in node:
        yield path, node
        for key, inner in node["properties"].items():
            yield from properties(resolved(inner), f"{path}.{key}".lstrip("."))


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return schema()["definitions"][reference.rpartition("/")[2]] if reference else node


def test_the_schema_knows_exactly_the_values_that_there_are() -> None:
    known = dict(properties(schema()))

    def compare(values: dict[str, Any], path: str) -> None:
        assert known[path]["properties"].keys() - {"global"} == values.keys(), path or "values"
        for key, value in values.items():
            inner = f"{path}.{key}".lstrip(".")
            if isinstance(value, dict) and inner in known and inner not in ("resources", "affinity"):
                compare(value, inner)

    compare(defaults(), "")


def test_the_schema_refuses_whatever_it_does_not_know() -> None:
    for path, node in properties(schema()):
        assert node.get("additionalProperties") is False, path
