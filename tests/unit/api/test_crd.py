"""The definition that a cluster is given: made from the types, complete, and in the dialect of the API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from triveni.api.crd import crd, text
from triveni.api.model_source import SOURCES
from triveni.api.strict import RULES

CHECKED_IN = Path(__file__).parents[3] / "crds" / "triveni.dev_securemodels.yaml"

Schema = dict[str, Any]


def root() -> Schema:
    (version,) = crd()["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


ALL = dict(walk(root()))


def test_the_file_that_is_checked_in_is_the_one_that_the_types_make() -> None:
    assert CHECKED_IN.read_text() == text(), "run: make generate"


def test_it_is_the_same_each_time_and_what_the_file_says() -> None:
    assert text() == text()
    assert yaml.safe_load(text()) == crd()


def test_it_is_named_as_its_group_and_plural() -> None:
    document = crd()
    names = document["spec"]["names"]
    assert (
        document["metadata"]["name"] == f"{names['plural']}.{document['spec']['group']}" == "securemodels.triveni.dev"
    )
    assert (names["shortNames"], names["categories"]) == (["smodel"], ["triveni"])


def test_every_field_is_described_in_a_sentence() -> None:
    bare = [path for path, schema in ALL.items() if not path.endswith("{}") and not schema.get("description")]
    simple = {path for path in bare if path.endswith("[]") and ALL[path]["type"] == "string"}
    assert set(bare) - simple == {".metadata"}
    unfinished = [
        path for path, schema in ALL.items() if not schema.get("description", ".").endswith((".", "left out."))
    ]
    assert unfinished == []


@pytest.mark.parametrize("path", ALL)
def test_every_value_has_one_type(path: str) -> None:
    schema = ALL[path]
    assert ("type" in schema) != ("x-kubernetes-int-or-string" in schema)
    assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title", "patternProperties"} & set(schema)
    assert not ("properties" in schema and "additionalProperties" in schema)
    if schema.get("type") == "array":
        assert "items" in schema


@pytest.mark.parametrize("path", [path for path, schema in ALL.items() if "pattern" in schema])
def test_a_pattern_is_for_the_whole_text_and_without_what_re2_does_not_know(path: str) -> None:
    pattern = ALL[path]["pattern"]
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    assert "(?" not in pattern


def test_rules_say_what_to_do() -> None:
    rules = [rule for schema in ALL.values() for rule in schema.get(RULES, ())]
    assert len(rules) > 10
    assert all(set(rule) == {"rule", "message"} and rule["message"] for rule in rules)


def test_what_was_charged_and_counted_is_never_taken_back() -> None:
    rules = {(path, rule["rule"]) for path, schema in ALL.items() for rule in schema.get(RULES, ())}
    assert {
        ("", "!has(oldSelf.status) || has(self.status)"),
        (".status", "!has(oldSelf.quota) || has(self.quota)"),
        (".status", "!has(oldSelf.epoch) || has(self.epoch)"),
        (".status.quota", "self.charged >= oldSelf.charged"),
        (".status.epoch", "self.number >= oldSelf.number"),
    } <= rules


def test_lists_and_maps_are_bounded_so_that_rules_stay_cheap() -> None:
    unbounded = [
        path
        for path, schema in ALL.items()
        if path.startswith(".spec")
        and (
            (schema.get("type") == "array" and "maxItems" not in schema)
            or ("additionalProperties" in schema and "maxProperties" not in schema)
        )
    ]
    assert unbounded == []


def test_a_cluster_knows_all_sources_but_the_file_of_one_machine() -> None:
    assert tuple(ALL[".spec.model.source"]["properties"]) == SOURCES


def test_defaults_of_the_spec_are_filled_in_and_the_status_is_left_as_it_is_written() -> None:
    defaults = {path: schema["default"] for path, schema in ALL.items() if "default" in schema}
    assert defaults == {
        ".spec.protocol": "ABY3",
        ".spec.recovery": "Reshare",
        ".spec.batching": {},
        ".spec.answer": {},
        ".spec.batching.maxRows": 32,
        ".spec.workers": {},
        ".spec.workers.topologyKey": "kubernetes.io/hostname",
        ".spec.workers.independence": "Preferred",
        ".spec.suspend": False,
        ".spec.model.source.s3.region": "us-east-1",
    }


def test_only_the_quota_may_be_null() -> None:
    assert [path for path, schema in ALL.items() if schema.get("nullable")] == [".spec.requestQuota"]


def test_kubectl_shows_what_a_person_asks_first() -> None:
    (version,) = crd()["spec"]["versions"]
    columns = [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")]
    assert columns == ["Ready", "Quota", "Served", "Epoch", "Protocol", "Age"]
    assert version["subresources"] == {"status": {}}
