"""What all objects have in common: a name, labels, and a reference to the SecureModel that owns them.

The reference is what lets the cluster remove everything when the SecureModel is deleted, with or without an operator.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from triveni.api.securemodel import API_VERSION, KIND, SecureModel
from triveni.controller.objects import names
from triveni.controller.objects.names import Component

Object = dict[str, Any]
"""A Kubernetes object as JSON, ready for server-side apply."""


def owned(
    api_version: str,
    kind: str,
    model: SecureModel,
    name: str,
    component: Component,
    epoch: int | None = None,
    party: int | None = None,
) -> Object:
    """An object of `model` without content."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": model.metadata.name,
        "uid": names.uid(model),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": model.metadata.namespace,
            "labels": names.labels(model, component, epoch, party),
            "ownerReferences": [owner],
        },
    }


def base64_data(data: Mapping[str, bytes]) -> dict[str, str]:
    """The `data` of a Secret."""
    return {key: base64.b64encode(value).decode("ascii") for key, value in data.items()}
