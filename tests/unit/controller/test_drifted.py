"""What of an object in the cluster is put right, and what is left to the API server and to others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.controller.world import World
from triveni.controller.cluster import Object
from triveni.controller.provision import drifted

MINE = {"podSelector": {"matchLabels": {"triveni.dev/client": "mnist"}}}

POLICY: dict[str, Any] = {
    "metadata": {"name": "mnist-workers", "labels": {"app.kubernetes.io/name": "triveni"}},
    "spec": {
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "worker"}},
        "ingress": [{"from": [MINE], "ports": [{"protocol": "TCP", "port": 8443}]}],
        "egress": [],
    },
}


def with_spec(**spec: Any) -> dict[str, Any]:
    return POLICY | {"spec": POLICY["spec"] | spec}


def ingress(peer: dict[str, Any], **port: Any) -> dict[str, Any]:
    return with_spec(ingress=[{"from": [peer], "ports": [{"protocol": "TCP", "port": 8443, **port}]}])


def test_what_the_api_server_and_others_add_is_no_drift() -> None:
    found = with_spec(policyTypes=["Ingress"]) | {"status": {}}
    found["metadata"] = POLICY["metadata"] | {"uid": "1", "labels": POLICY["metadata"]["labels"] | {"team": "a"}}
    assert not drifted(POLICY, found)


def test_an_empty_list_that_the_api_server_leaves_out_is_no_drift() -> None:
    spec = {key: value for key, value in POLICY["spec"].items() if key != "egress"}
    assert not drifted(POLICY, POLICY | {"spec": spec})


@pytest.mark.parametrize(
    "found",
    [
        ingress(MINE | {"namespaceSelector": {}}),
        ingress({"podSelector": {}}),
        ingress(MINE, endPort=65535),
        with_spec(egress=[{}]),
        with_spec(podSelector={"matchLabels": {"app.kubernetes.io/component": "worker", "none": "such"}}),
        POLICY | {"metadata": {"name": "mnist-workers", "labels": {}}},
        {"metadata": POLICY["metadata"]},
    ],
    ids=["all namespaces", "all pods", "all ports", "a way out", "no pods closed in", "no labels", "no spec"],
)
def test_one_field_more_in_a_rule_or_a_selector_is_drift(found: dict[str, Any]) -> None:
    assert drifted(POLICY, found)


def test_a_client_selector_that_is_widened_to_all_pods_is_drift() -> None:
    assert drifted(ingress({"podSelector": {}}), ingress(MINE))


def test_a_port_that_somebody_adds_to_a_service_is_not_fought_over_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applying takes no port away that another field manager owns: it changes nothing, and nobody is told."""
    world, applied = World(), []
    world.bring_up()

    async def apply(document: Object) -> Object:
        applied.append(document["metadata"]["name"])
        return copy.deepcopy(world.cluster.objects[document["kind"], document["metadata"]["name"]])

    monkeypatch.setattr(world.cluster, "apply", apply)
    world.cluster.objects["Service", "mnist-worker-0"]["spec"]["ports"].append({"name": "extra", "port": 9999})
    world.reconcile()
    assert applied == ["mnist-worker-0"]
    assert world.reason("Ready") == ("True", "Serving")
