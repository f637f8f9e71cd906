"""What the cluster looks like at the moment a test fails."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from tests.e2e.tools import Kubectl, ToolFailed

_LINES = 80
_SECONDS = 20

_OPERATOR = "--selector=app.kubernetes.io/name=triveni,app.kubernetes.io/component=operator"

# No Secret among them: what stands in a test's output stands in public.
_LOOKS = (
    ("nodes and pods", ("get", "nodes,pods", "--all-namespaces", "--output=wide"), 0),
    ("SecureModels", ("get", "securemodels", "--all-namespaces", "--output=yaml"), 0),
    ("events", ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"), _LINES),
)


def diagnose(kubectl: Kubectl) -> Iterator[tuple[str, str]]:
    """Title and text of each look at the cluster."""
    for title, command, lines in _LOOKS:
        yield title, _tail(_ask(kubectl, *command), lines)
    for namespace, name in _operators(kubectl):
        within = kubectl.within(namespace)
        for previous in ("", "--previous"):
            said = _ask(within, "logs", name, f"--tail={_LINES}", *filter(None, [previous]))
            if not previous or "not found" not in said:
                yield f"log of the operator {name}{previous.replace('--', ', ')}", said


def _operators(kubectl: Kubectl) -> list[tuple[str, str]]:
    columns = "--output=custom-columns=:metadata.namespace,:metadata.name"
    found = _ask(kubectl, "get", "pods", "--all-namespaces", _OPERATOR, columns, "--no-headers")
    return [(namespace, name) for namespace, name in (line.split() for line in found.splitlines() if line.count(" "))]


def _ask(kubectl: Kubectl, *command: str) -> str:
    try:
        return kubectl(*command, seconds=_SECONDS)
    except (ToolFailed, subprocess.TimeoutExpired) as error:
        return str(error)


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:])
