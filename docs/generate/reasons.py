"""Every word that the operator, workers and sharing jobs give as a reason, found in the code that gives it.

The reference lists them; a test holds the runbook against them. Reasons that Kubernetes itself gives (Unschedulable,
ErrImagePull, ...) are passed on as they come, so no list of them can be complete.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TypeGuard

from triveni.controller import reconciler
from triveni.controller.decide import conditions
from triveni.controller.decide.ending import Ended
from triveni.controller.decide.failing import Hold
from triveni.sharing import failures
from triveni.worker.state import EndReason

CONDITION_OF = {
    "_workers": "WorkersReady",
    "_shared": "Shared",
    "_ready": "Ready",
    "_quota": "QuotaReached",
    "_independent": "PartiesIndependent",
    "conditions_of": "Accepted",
}
"""Which condition a function of `decide/conditions.py` finds."""


EVERY_OTHER = "all but Accepted"
"""What is refused is refused for all conditions; `Accepted` says why, in words of its own."""


@dataclass(frozen=True, order=True)
class ConditionReason:
    """A reason with which a condition may stand."""

    condition: str
    status: str
    reason: str


def condition_reasons() -> list[ConditionReason]:
    """Those that are written out in the code: `Finding(status, reason, ...)`, and what is refused before."""
    found = []
    for function in _functions(conditions):
        condition = CONDITION_OF.get(function.name)
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if not (isinstance(call.func, ast.Name) and call.func.id == "Finding"):
                continue
            status, reason = (
                argument.value if isinstance(argument, ast.Constant) else None for argument in call.args[:2]
            )
            if isinstance(status, str) and isinstance(reason, str):
                found.append(ConditionReason(condition or EVERY_OTHER, status, reason))
    found += [ConditionReason("Accepted", "False", reason) for reason in refusals()]
    found += [ConditionReason(kind, "False", hold.value) for kind in ("Shared", "WorkersReady") for hold in Hold]
    return sorted(set(found))


def refusals() -> list[str]:
    """Why a spec cannot be carried out."""
    tree = ast.parse(inspect.getsource(reconciler))
    given = [node.args[3] for node in ast.walk(tree) if _calls(node, "_refuse")]
    (not_served,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "not_served")
    returned = [node.value for node in ast.walk(not_served) if isinstance(node, ast.Return)]
    given += [value.elts[0] for value in returned if isinstance(value, ast.Tuple)]
    return sorted({argument.value for argument in given if isinstance(argument, ast.Constant)})


def sharing_failures() -> list[type[failures.SharingFailure]]:
    """Why a model could not be shared: all types of failure that have a reason."""

    def below(kind: type[failures.SharingFailure]) -> Iterator[type[failures.SharingFailure]]:
        for sub in kind.__subclasses__():
            yield sub
            yield from below(sub)

    return sorted({kind for kind in below(failures.SharingFailure) if "reason" in vars(kind)}, key=lambda k: k.reason)


def all_reasons() -> set[str]:
    """Every reason that may stand in a condition and is given by this code."""
    ends = {reason.value for reason in EndReason} | {end.value for end in Ended if not end.asked_for}
    return {c.reason for c in condition_reasons()} | {kind.reason for kind in sharing_failures()} | ends


def _functions(module: ModuleType) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef)]


def _calls(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
