"""Every mistake of the table on a real cluster: refused with a reason, or told in a condition, and never a crash."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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

TOLD_S = 150
"""Seconds from `kubectl apply` to the condition, at most: image pulls back off, and a small machine is shared."""


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


def test_what_the_api_server_lets_in_a_condition_explains_and_nothing_crashes(
    operator: Operator, kubectl: Kubectl
) -> None:
    restarts = restarted(operator.kubectl)
    with fresh_namespaces(kubectl, len(TOLD)) as namespaces, ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(filter(None, pool.map(what_is_wrong, TOLD, map(Models, namespaces))))
    assert not wrong, "\n".join(wrong)
    assert restarted(operator.kubectl) == restarts


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


def what_is_wrong(case: BadSpec, models: Models) -> str:
    """Apply it, see what it says of itself, and delete it. Empty if it says what it should."""
    expected = case.expected
    assert expected
    if case.needs == "web":
        models.kubectl.apply(*web_server())
        models.kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=120s")
    models.kubectl.apply(*case.objects, case.document)
    try:
        eventually(
            lambda: is_told(models, case), TOLD_S, f"{expected.type} is False for {' or '.join(expected.reasons)}"
        )
        return ", ".join(f"{case.name}: {pod} was restarted" for pod in restarted(models.kubectl))
    except AssertionError as error:
        return f"{case.name}: {error}"
    finally:
        models.kubectl("delete", "securemodel", case.name)


def is_told(models: Models, case: BadSpec) -> bool:
    status = models.status(case.name)
    assert case.expected
    assert case.expected.is_met_by(status), status.get("conditions")
    return True


def restarted(kubectl: Kubectl) -> dict[str, int]:
    """How often the containers of pods were started anew, by pod; without those that never were."""
    pods = {pod["metadata"]["name"]: pod["status"].get("containerStatuses", []) for pod in kubectl.get("pods")}
    counts = {name: sum(container["restartCount"] for container in containers) for name, containers in pods.items()}
    return {name: count for name, count in counts.items() if count}


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
