"""Which parts of a SecureModel an epoch is made from: a change of one of them asks for a new epoch.

They are the model, the protocol, the answer, batching and the workers. The rest of the spec is heeded while an epoch
serves, or at its end.
"""

from __future__ import annotations

import hashlib
import json

from triveni.api.securemodel import SecureModel
from triveni.controller.objects.wanted import wanted

PARTS = {"model", "protocol", "answer", "batching"}
"""Of the spec, besides the workers."""


def parts_of_model(model: SecureModel) -> str:
    """A digest of these parts: 16 hexadecimal digits.

    What is at its default counts as left out: a field that a later version adds then changes no digest, and an upgrade
    of the operator ends no epoch.
    """
    spec = model.spec.model_dump(mode="json", include=PARTS, exclude_defaults=True)
    parts = {**spec, "workers": wanted(model)}
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
