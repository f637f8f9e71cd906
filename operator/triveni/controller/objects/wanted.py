"""What a SecureModel says about its workers, in the words of Kubernetes."""

from __future__ import annotations

from typing import Any

from triveni.api.securemodel import SecureModel


def wanted(model: SecureModel) -> dict[str, Any]:
    """The fields of `spec.workers` that say something: what is at its default, left out or empty is not among them."""
    fields = model.spec.workers.model_dump(mode="json", exclude_defaults=True)
    return {field: value for field, value in fields.items() if value}
