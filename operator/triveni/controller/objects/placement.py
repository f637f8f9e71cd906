"""On which nodes the three workers run: apart from each other, and where the user says.

Two workers on one node are in the hands of one administrator, who could join what they hold. `Required` keeps a worker
pending rather than let that happen; `Preferred` lets it happen where there is no other way, and a condition says so.
"""

from __future__ import annotations

from typing import Any

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import names
from triveni.controller.objects.names import Component
from triveni.controller.objects.owned import Object
from triveni.controller.objects.wanted import wanted

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity(model: SecureModel, epoch: int) -> Object:
    """The user's affinity with the rule of independence added to it.

    The rule looks at pods of the same epoch only: one of the epoch before that still ends does not keep a node taken.
    """
    workers = model.spec.workers
    theirs: dict[str, Any] = wanted(model).get("affinity", {})
    apart = dict(theirs.get("podAntiAffinity", {}))
    term = {
        "labelSelector": {"matchLabels": names.selector(model, Component.WORKER, epoch)},
        "topologyKey": workers.topology_key,
    }
    if workers.independence == "Required":
        apart[REQUIRED] = [*_terms(apart.get(REQUIRED)), term]
        nodes = _in_some_domain(theirs.get("nodeAffinity", {}), workers.topology_key)
        return {**theirs, "nodeAffinity": nodes, "podAntiAffinity": apart}
    apart[PREFERRED] = [*_terms(apart.get(PREFERRED)), {"weight": 100, "podAffinityTerm": term}]
    return {**theirs, "podAntiAffinity": apart}


def _in_some_domain(theirs: dict[str, Any], key: str) -> Object:
    """The user's node affinity, and the label `key` on every node that it lets in.

    A node without the label lies in no domain, so anti-affinity alone lets two workers share it.
    """
    labelled = {"key": key, "operator": "Exists"}
    required = theirs.get(REQUIRED) or {}
    terms = _terms(required.get("nodeSelectorTerms") or [{}]) if isinstance(required, dict) else required
    if not isinstance(terms, list) or not all(isinstance(term, dict) for term in terms):
        return theirs  # the API server refuses it
    narrowed = [term | {"matchExpressions": [*_terms(term.get("matchExpressions")), labelled]} for term in terms]
    return {**theirs, REQUIRED: required | {"nodeSelectorTerms": narrowed}}


def where(model: SecureModel) -> Object:
    """The fields of a pod's spec that say on which kind of node it may run; also for the sharing job.

    The job has the same image and the same nodes open to it, but need not be apart from anybody: it ends.
    """
    fields = ("nodeSelector", "tolerations", "priorityClassName")
    return {field: value for field, value in wanted(model).items() if field in fields}


def _terms(value: Any) -> list[Any]:
    """The user's terms. Nobody has checked them: what is no list goes on as it is, and the API server refuses it."""
    return [] if value is None else value if isinstance(value, list) else [value]
