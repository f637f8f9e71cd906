"""The objects of one SecureModel as a reviewer reads them: `golden/CASE.input.yaml` and `golden/CASE.objects.yaml`.

A change of what is built shows up as a difference of these files. When it is meant:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/unit/controller/objects

writes them anew; read `git diff` before you commit it. What is random is replaced by what it stands for, and the data
of Secrets is shown as text. The case `minimal` shows all objects. The others show what is different in them: what a
SecureModel of the same name with the spec of `minimal` has alike is left out, and so are workers 1 and 2.
"""

from __future__ import annotations

import base64
import json
import os
import re
from typing import Any

import pytest
import yaml

from tests.unit.controller.objects.samples import CASES, GOLDEN, everything, read_case
from triveni.controller.objects import Object
from triveni.identity.authority import Authority

PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\n.*?-----END \1-----\n", re.DOTALL)


class Plain(yaml.SafeDumper):
    """Without anchors, and with texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Plain, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Plain.add_representer(str, _text)


def telling(case: str, authority: Authority) -> list[Object]:
    """The objects of a case that its golden file shows."""
    model = read_case(case)
    objects = everything(model, authority)
    if case == "minimal":
        return objects
    usual = everything(model.model_copy(update={"spec": read_case("minimal").spec}), authority)
    return [
        item
        for item in objects
        if item not in usual and item["metadata"]["labels"].get("triveni.dev/party") in (None, "0")
    ]


def shown(item: Object) -> Object:
    """An object as it stands in a golden file."""
    if item["kind"] != "Secret":
        return item
    return {**item, "data": {key: _shown_data(base64.b64decode(value)) for key, value in item["data"].items()}}


def _shown_data(value: bytes) -> Any:
    text = PEM.sub(lambda match: f"<{match[1].lower()}>", value.decode())
    return json.loads(text) if text.startswith("{") else text


@pytest.mark.parametrize("case", CASES)
def test_the_objects_are_those_of_the_golden_file(case: str, authority: Authority) -> None:
    objects = [shown(item) for item in telling(case, authority)]
    path = GOLDEN / f"{case}.objects.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(
            f"# Built from {case}.input.yaml; how to write it anew: ../test_golden.py\n"
            + yaml.dump_all(objects, Dumper=Plain, explicit_start=True, sort_keys=False, width=120)
        )
    assert objects == list(yaml.safe_load_all(path.read_text()))


def test_there_is_no_golden_file_without_its_input() -> None:
    assert {path.name.removesuffix(".objects.yaml") for path in GOLDEN.glob("*.objects.yaml")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_same_parameters_give_the_same_objects_even_after_somebody_has_changed_the_first(
    case: str, authority: Authority
) -> None:
    first, untouched = (everything(read_case(case), authority) for _ in range(2))
    for item in first:
        _empty(item)
    assert everything(read_case(case), authority) == untouched


def _empty(value: Any) -> None:
    for inner in list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        _empty(inner)
    if isinstance(value, dict | list):
        value.clear()
