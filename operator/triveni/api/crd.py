"""The CustomResourceDefinition of the SecureModel, made from its types. `python -m triveni.api.crd` prints it."""

from __future__ import annotations

import sys
from typing import Any

import yaml

from triveni.api.securemodel import API_GROUP, API_VERSION, KIND, SecureModel, Spec
from triveni.api.status import Status
from triveni.api.strict import RULES
from triveni.api.structural import structural

PLURAL = "securemodels"

HEADER = "# Generated from operator/triveni/api by `make generate`; change it there.\n"

_READY = '.status.conditions[?(@.type=="Ready")]'

COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "Ready", "type": "string", "jsonPath": f"{_READY}.status", "description": "Whether it serves now."},
    {"name": "Quota", "type": "integer", "jsonPath": ".spec.requestQuota", "description": "Requests in all."},
    {"name": "Served", "type": "integer", "jsonPath": ".status.served", "description": "Requests answered so far."},
    {"name": "Epoch", "type": "integer", "jsonPath": ".status.epoch.number", "description": "The newest epoch."},
    {"name": "Protocol", "type": "string", "jsonPath": ".spec.protocol", "description": "How shares are computed on."},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {
        "name": "Charged",
        "type": "integer",
        "jsonPath": ".status.quota.charged",
        "description": "Requests charged to epochs that have ended.",
        "priority": 1,
    },
    {
        "name": "Reason",
        "type": "string",
        "jsonPath": f"{_READY}.reason",
        "description": "Why it serves, or why not.",
        "priority": 1,
    },
)
"""What `kubectl get` shows; with priority 1, only `-o wide` does."""


def crd() -> dict[str, Any]:
    """The definition as the API server takes it."""
    version = API_VERSION.removeprefix(f"{API_GROUP}/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{API_GROUP}"},
        "spec": {
            "group": API_GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["smodel"],
                "categories": ["triveni"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [dict(column) for column in COLUMNS],
                    "schema": {"openAPIV3Schema": _schema()},
                }
            ],
        },
    }


def _schema() -> dict[str, Any]:
    """Of the whole object; its metadata is the API server's own affair."""
    whole = structural(SecureModel)
    return {
        "description": whole["description"],
        "type": "object",
        RULES: whole[RULES],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"Version of this resource: {API_VERSION}.", "type": "string"},
            "kind": {"description": f"Kind of this resource: {KIND}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(Spec),
            "status": structural(Status, defaults=False),
        },
    }


def text() -> str:
    """The definition as YAML, always the same for the same types."""
    return HEADER + yaml.dump(crd(), Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes a value out each time instead of pointing to where it stood before."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    sys.stdout.write(text())
