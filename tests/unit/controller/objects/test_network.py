"""Who may talk to whom, decided by the policies as a cluster does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.controller.objects.samples import SETTINGS, in_cluster, secure_model
from triveni.api.securemodel import SecureModel
from triveni.controller.objects import Object, network_policies, services, sharing_job, worker_pod

ANYWHERE = {"kubernetes.io/metadata.name": "elsewhere"}


def url(address: str) -> dict[str, Any]:
    return {"source": {"http": {"url": address}}, "digest": "sha256:" + "0a" * 32}


def labels(model: SecureModel, component: str, epoch: int = 1) -> dict[str, str]:
    if component == "worker":
        pod = worker_pod(model, epoch, 0, SETTINGS)
    else:
        pod = sharing_job(model, epoch, ("10.0.0.1", "10.0.0.2", "10.0.0.3"), SETTINGS)["spec"]["template"]
    found: dict[str, str] = pod["metadata"]["labels"]
    return found


def applies(policy: Object, pod: dict[str, str]) -> bool:
    return bool(pod.items() >= policy["spec"]["podSelector"]["matchLabels"].items())


def lets(
    rules: list[Object],
    direction: str,
    pod: dict[str, str] | None,
    port: int,
    protocol: str = "TCP",
    namespace: dict[str, str] | None = None,
) -> bool:
    """Whether one of the rules lets a connection through, to or from a pod of a namespace (None: the policy's own)."""
    return any(
        (direction not in rule or any(_is_peer(peer, pod, namespace) for peer in rule[direction]))
        and ("ports" not in rule or {"protocol": protocol, "port": port} in rule["ports"])
        for rule in rules
    )


def _is_peer(peer: Object, pod: dict[str, str] | None, namespace: dict[str, str] | None) -> bool:
    if pod is None:
        return False
    here = namespace is None if "namespaceSelector" not in peer else _matches(peer["namespaceSelector"], namespace)
    return here and _matches(peer.get("podSelector", {}), pod)


def _matches(selector: Object, labels: dict[str, str] | None) -> bool:
    return (labels or {}).items() >= selector.get("matchLabels", {}).items()


# --- workers --------------------------------------------------------------------------------------------------------


def test_each_policy_applies_to_its_pods_of_all_epochs_in_both_directions() -> None:
    model = secure_model()
    workers, sharing = network_policies(model, SETTINGS)
    for epoch in (1, 2):
        assert applies(workers, labels(model, "worker", epoch))
        assert applies(sharing, labels(model, "sharing", epoch))
        assert not applies(workers, labels(model, "sharing", epoch))
        assert not applies(sharing, labels(model, "worker", epoch))
    for policy in (workers, sharing):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_a_worker_reaches_the_other_workers_and_nothing_else() -> None:
    model = secure_model()
    egress = network_policies(model, SETTINGS)[0]["spec"]["egress"]
    assert lets(egress, "to", labels(model, "worker"), 8444)
    assert not lets(egress, "to", labels(model, "worker"), 8443)
    assert not lets(egress, "to", labels(model, "sharing"), 8444)
    assert not lets(egress, "to", {"k8s-app": "kube-dns"}, 53, "UDP", {"kubernetes.io/metadata.name": "kube-system"})
    assert not lets(egress, "to", None, 443)


def test_workers_of_another_secure_model_cannot_knock() -> None:
    other = in_cluster(secure_model().model_dump(mode="json", exclude_none=True), uid="u-2")
    ingress = network_policies(secure_model(), SETTINGS)[0]["spec"]["ingress"]
    for port in (8443, 8444, 8080):
        assert not lets(ingress, "from", labels(other, "worker"), port)
        assert not lets(ingress, "from", labels(other, "sharing"), port)


def test_the_sharing_job_reaches_the_workers_where_clients_do() -> None:
    model = secure_model()
    workers, sharing = (policy["spec"] for policy in network_policies(model, SETTINGS))
    assert lets(workers["ingress"], "from", labels(model, "sharing"), 8443)
    assert not lets(workers["ingress"], "from", labels(model, "sharing"), 8444)
    assert lets(sharing["egress"], "to", labels(model, "worker"), 8443)
    assert not lets(sharing["egress"], "to", labels(model, "worker"), 8444)
    assert sharing["ingress"] == []


def test_only_the_operator_is_let_in_to_the_health_port() -> None:
    operator = {"app.kubernetes.io/component": "operator"}
    ingress = network_policies(secure_model(), SETTINGS)[0]["spec"]["ingress"]
    assert lets(ingress, "from", operator, 8080, namespace={"kubernetes.io/metadata.name": "triveni"})
    assert not lets(ingress, "from", operator, 8080)
    assert not lets(ingress, "from", {"triveni.dev/client": "mnist"}, 8080)
    outside = replace(SETTINGS, operator_namespace=None)
    ports = [rule["ports"] for rule in network_policies(secure_model(), outside)[0]["spec"]["ingress"]]
    assert [port["port"] for (port,) in ports] == [8443, 8444]


# --- clients --------------------------------------------------------------------------------------------------------


def test_without_a_list_of_clients_pods_of_the_namespace_with_the_label_are_let_in() -> None:
    ingress = network_policies(secure_model(), SETTINGS)[0]["spec"]["ingress"]
    client = {"triveni.dev/client": "mnist"}
    assert lets(ingress, "from", client, 8443)
    assert not lets(ingress, "from", client, 8444)
    assert not lets(ingress, "from", client, 8443, namespace=ANYWHERE)
    assert not lets(ingress, "from", {"triveni.dev/client": "other"}, 8443)
    assert not lets(ingress, "from", {}, 8443)


def test_a_list_of_clients_takes_the_place_of_the_label() -> None:
    clients = [
        {"namespaceSelector": {"matchLabels": ANYWHERE}, "podSelector": {"matchLabels": {"app": "clinic"}}},
        {"podSelector": {}},
    ]
    first, second = network_policies(secure_model(clients=clients), SETTINGS)[0]["spec"]["ingress"][0]["from"][1:]
    assert [first, second] == clients


# --- the source of the model ----------------------------------------------------------------------------------------


def test_a_job_whose_model_is_mounted_reaches_nothing_but_workers() -> None:
    assert len(network_policies(secure_model(), SETTINGS)[1]["spec"]["egress"]) == 1


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("https://models.example/m.keras", 443),
        ("http://models.example/m.keras", 80),
        ("https://models.example:8444/m.keras", 8444),
        ("http://10.1.2.3:9000/m.keras", 9000),
        ("https://[fd00::1]:9000/m.keras?part=1", 9000),
    ],
)
def test_a_job_that_fetches_its_model_reaches_dns_and_the_port_of_the_source(address: str, port: int) -> None:
    _, dns, source = network_policies(secure_model(model=url(address)), SETTINGS)[1]["spec"]["egress"]
    assert source == {"ports": [{"protocol": "TCP", "port": port}]}
    kube_system = {"kubernetes.io/metadata.name": "kube-system"}
    assert lets([dns], "to", {}, 53, "UDP", kube_system)
    assert lets([dns], "to", {}, 53, "TCP", kube_system)
    assert not lets([dns], "to", {}, 53, "UDP", ANYWHERE)


@pytest.mark.parametrize("host", ["minio.storage.svc", "minio.storage.svc.cluster.local", "minio.storage.svc.k8s"])
def test_the_pods_of_a_service_are_reached_whatever_port_they_listen_on(host: str) -> None:
    *_, pods = network_policies(secure_model(model=url(f"http://{host}/m.keras")), SETTINGS)[1]["spec"]["egress"]
    assert pods == {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}}],
        "ports": [{"protocol": "TCP"}],
    }


# --- Services -------------------------------------------------------------------------------------------------------


def test_each_service_points_to_one_worker_of_the_epoch() -> None:
    model = secure_model()
    for party, service in enumerate(services(model, 2)):
        chosen = service["spec"]["selector"].items()
        pods = {
            (epoch, other): worker_pod(model, epoch, other, SETTINGS)["metadata"]["labels"]
            for epoch in (1, 2)
            for other in range(3)
        }
        assert [key for key, found in pods.items() if found.items() >= chosen] == [(2, party)]


def test_a_service_leads_to_workers_that_are_not_ready_yet() -> None:
    assert all(service["spec"]["publishNotReadyAddresses"] for service in services(secure_model(), 1))
