"""The table of bad specs: one SecureModel for each mistake, and what a person has to be told about it.

`bad_specs.yaml` says what each is. The same table is held against the API server of a cluster and its operator, and
against what `triveni check` finds on this machine.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.bad_models import BAD_MODELS, GOOD_MODEL

TABLE = Path(__file__).with_suffix(".yaml")

Document = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """A condition that has to come: of this type and status, with one of these reasons and this text in its message."""

    type: str
    status: str
    reasons: Sequence[str]
    message: str

    def is_met_by(self, status: Mapping[str, Any]) -> bool:
        """Whether the status of a SecureModel has it."""
        return any(
            condition["type"] == self.type
            and condition["status"] == self.status
            and condition["reason"] in self.reasons
            and self.message in condition["message"]
            for condition in status.get("conditions") or ()
        )


@dataclass(frozen=True)
class BadSpec:
    """One mistake.

    Attributes:
        name: of the case, and of its SecureModel.
        what: the mistake in a sentence.
        document: the SecureModel.
        model: the model file that it names; None if there is none.
        objects: what has to be there before it: the ConfigMap with the model file and others. Without a namespace.
        needs: `web` if a Service of this name has to answer 404 to everything on port 80.
        refused: part of what the API server says, if it refuses it.
        expected: the condition that comes, if it does not.
        told: part of what `triveni check` says; None if it finds nothing wrong.
    """

    name: str
    what: str
    document: Document
    model: bytes | None
    objects: Sequence[Document]
    needs: str | None
    refused: str | None
    expected: Expected | None
    told: str | None

    def manifest(self) -> str:
        """All of it as a file for `kubectl apply` and `triveni check`."""
        return yaml.safe_dump_all([self.document, *self.objects])


def bad_specs() -> Sequence[BadSpec]:
    """All cases, in the order of the table."""
    table = yaml.safe_load(TABLE.read_text())
    return [_case(table["good"], case) for case in table["cases"]]


def good_spec(name: str = "good") -> BadSpec:
    """The SecureModel that all the others are changes of, which nobody refuses."""
    table = yaml.safe_load(TABLE.read_text())
    return _case(table["good"], {"name": name, "what": "Nothing is wrong.", "told": None})


def _case(good: Document, case: Mapping[str, Any]) -> BadSpec:
    unknown = set(case) - {"name", "what", "set", "remove", "model", "objects", "needs", "refused", "condition", "told"}
    assert not unknown, f"{case['name']}: {unknown}"
    name = case["name"]
    document = copy.deepcopy(good)
    document["metadata"]["name"] = name
    document["spec"]["model"]["source"]["configMap"]["name"] = f"{name}-model"
    for path, value in case.get("set", {}).items():
        *above, last = path.split(".")
        _inner(document, above)[last] = value
    for path in case.get("remove", ()):
        *above, last = path.split(".")
        del _inner(document, above)[last]
    model = _model(case)
    objects = [*([_config_map(f"{name}-model", model)] if model is not None else []), *case.get("objects", ())]
    expected = _expected(case["condition"]) if "condition" in case else None
    return BadSpec(
        name,
        case["what"],
        document,
        model,
        objects,
        case.get("needs"),
        case.get("refused"),
        expected,
        case["told"],
    )


def _inner(document: Document, path: Sequence[str]) -> Document:
    for part in path:
        document = document.setdefault(part, {})
    return document


def _model(case: Mapping[str, Any]) -> bytes | None:
    if "model" not in case:
        return GOOD_MODEL()
    return BAD_MODELS[case["model"]]() if case["model"] is not None else None


def _config_map(name: str, model: bytes) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "binaryData": {"model.keras": base64.b64encode(model).decode()},
    }


def _expected(condition: Mapping[str, Any]) -> Expected:
    reason = condition["reason"]
    reasons = reason if isinstance(reason, list) else [reason]
    return Expected(condition["type"], "False", reasons, condition["message"])
