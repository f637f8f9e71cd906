"""Every mistake of the table on a real cluster: refused with a reason, or told in a condition, and never a crash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
import yaml

from tests.e2e.bad_specs import BadSpec, Document, bad_specs, good_spec
from tests.e2e.cluster import images
from tests.e2e.namespaces import fresh_namespaces
from tests.e2e.operator import Operator
from tests.e2e.securemodels import Models
from tests.e2e.tools import Kubectl
from tests.e2e.waiting import eventually, throughout

REFUSED = [case for case in bad_specs() if case.refused]
TOLD = [case for case in bad_specs() if case.expected]

AT_ONCE = 4
"""SecureModels whose workers and sharing jobs start at the same time."""

TOLD_S = 240
"""Seconds from `kubectl apply` until all of them say what is wrong, at most: it is a small machine for 16 pods."""


@pytest.fixture(scope="module")
def elsewhere(kubectl: Kubectl, release: Operator) -> Iterator[Kubectl]:
    """A namespace for SecureModels that do not come into being."""
    with fresh_namespaces(kubectl, 1) as (kubectl,):
        yield kubectl


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_the_api_server_refuses_and_says_why(case: BadSpec, elsewhere: Kubectl) -> None:
    assert case.refused
    assert case.refused in elsewhere.fails("create", "--filename=-", text=yaml.safe_dump(case.document))


def test_what_all_of_them_are_changes_of_is_accepted(elsewhere: Kubectl) -> None:
    elsewhere("create", "--filename=-", "--dry-run=server", text=yaml.safe_dump(good_spec().document))


@pytest.mark.timeout(1200, func_only=True)
def test_what_the_api_server_lets_in_a_condition_explains_and_nothing_crashes(
    operator: Operator, kubectl: Kubectl
) -> None:
    wrong: list[str] = []
    with fresh_namespaces(kubectl, 2) as namespaces:
        together, apart = map(Models, namespaces)
        for wave in batches([case for case in TOLD if not concerns_others(case)], AT_ONCE):
            wrong += what_is_wrong(together, wave)
        wrong += what_is_wrong(apart, [case for case in TOLD if concerns_others(case)])
    assert not wrong, "\n".join(wrong)
    assert not operator.crashed()


def test_a_model_that_cannot_be_served_is_tried_once_and_again_when_the_spec_changes(models: Models) -> None:
    (case,) = [case for case in TOLD if case.name == "unsupported-layer"]
    models.apply([*case.objects, case.document])
    shared = eventually(lambda: final(models.condition("Shared", case.name)), TOLD_S, "its epoch has ended")
    assert shared
    assert (shared["status"], shared["reason"]) == ("False", "UnsupportedLayer")
    eventually(lambda: not models.pods() and not models.pods("sharing"), 60, "no pod is left")
    throughout(lambda: models.status(case.name)["epoch"]["number"] == 1, 5, "it is not tried again")

    models.patch(case.name, requestQuota=4)
    eventually(lambda: models.status(case.name)["epoch"]["number"] == 2, 60, "it is tried again")


def final(shared: dict[str, str]) -> dict[str, str] | None:
    return shared if "it is not tried again until the spec changes" in shared.get("message", "") else None


def batches(cases: Sequence[BadSpec], size: int) -> list[Sequence[BadSpec]]:
    return [cases[start : start + size] for start in range(0, len(cases), size)]


def concerns_others(case: BadSpec) -> bool:
    """Whether what it needs holds for every pod of its namespace."""
    return any(needed["kind"] == "LimitRange" for needed in case.objects)


def what_is_wrong(models: Models, cases: Sequence[BadSpec]) -> list[str]:
    """Apply some at the same time, see what they say of themselves, and delete them."""
    if any(case.needs == "web" for case in cases):
        models.kubectl.apply(*web_server())
        models.kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=120s")
    models.kubectl.apply(*(document for case in cases for document in (*case.objects, case.document)))
    wrong: dict[str, str] = {case.name: "" for case in cases}

    def have_told() -> bool:
        """Each once: what may pass is tried again, and meanwhile the condition tells of that."""
        statuses = {found["metadata"]["name"]: found.get("status", {}) for found in models.kubectl.get("securemodels")}
        for case in [case for case in cases if case.name in wrong]:
            wrong[case.name] = untold(case, statuses[case.name])
            if not wrong[case.name]:
                del wrong[case.name]
        return not wrong

    with suppress(AssertionError):
        eventually(have_told, TOLD_S, "every SecureModel says what is wrong with it")
    again = [f"{name} was restarted" for name in restarted(models.kubectl)]
    models.kubectl("delete", "securemodels", "--all")
    return [*wrong.values(), *again]


def untold(case: BadSpec, status: Mapping[str, Any]) -> str:
    """What it should say and does not; empty if it does."""
    assert case.expected
    if case.expected.is_met_by(status):
        return ""
    says = [(c["reason"], c["message"]) for c in status.get("conditions", []) if c["type"] == case.expected.type]
    return f"{case.name}: {case.expected} is not in {says}"


def restarted(kubectl: Kubectl) -> list[str]:
    """The pods of a namespace one of whose containers was started anew."""
    pods = {pod["metadata"]["name"]: pod["status"].get("containerStatuses", []) for pod in kubectl.get("pods")}
    return [name for name, containers in pods.items() if any(each["restartCount"] for each in containers)]


def web_server() -> tuple[Document, Document]:
    """A Service `web` behind which nothing is to be had: the answer to everything is 404."""
    container = {
        "name": "web",
        "image": images.name("worker"),
        "command": ["python", "-m", "http.server", "--directory=/mnt", "80"],
        "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        "containers": [container],
    }
    labels = {"app": "web"}
    return (
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": labels}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        },
    )
