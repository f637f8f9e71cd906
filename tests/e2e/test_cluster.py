"""The test cluster is a real one: nodes, restricted pods, network policies, the API server's ways into a pod."""

from __future__ import annotations

import subprocess
import urllib.request
from functools import partial
from typing import Any

import pytest

from tests.e2e.cluster import images, network
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.tools import Kubectl, NotTheTestCluster, ToolFailed
from tests.e2e.waiting import eventually

PORT = 8000

SERVE = f"""
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{{os.uname()[1]}} saw {{self.client_address[0]}}".encode())
    def log_message(self, *args):
        print("asked", flush=True)
http.server.ThreadingHTTPServer(("", {PORT}), Answer).serve_forever()
"""

ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=2).read().decode())"


def server(name: str, **spec: object) -> dict[str, Any]:
    """A restricted pod that says who asks it."""
    container = {
        "name": "server",
        "image": images.name("worker"),
        "command": ["python", "-c", SERVE],
        "readinessProbe": {"httpGet": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "securityContext": security,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            **spec,
        },
    }


def policy(name: str, pods: str, **spec: object) -> dict[str, Any]:
    """A network policy for the pods with this label `app`."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": pods}}, **spec},
    }


@pytest.fixture
def here(kubectl: Kubectl, namespace: str) -> Kubectl:
    return kubectl.within(namespace)


@pytest.fixture
def nodes(kubectl: Kubectl) -> list[str]:
    """The names of the nodes that take pods."""
    return [node["metadata"]["name"] for node in kubectl.get("nodes") if not node["spec"].get("taints")]


def start(here: Kubectl, *pods: dict[str, Any]) -> None:
    """Start pods and wait until they are ready."""
    here.apply(*pods)
    here("wait", "pods", "--all", "--for=condition=Ready", "--timeout=60s")


def reaches(here: Kubectl, pod: str, url: str) -> bool:
    try:
        return "saw" in here.exec(pod, "python", "-c", ASK, url)
    except ToolFailed:
        return False


def blocked(here: Kubectl, pod: str, url: str) -> bool:
    return not reaches(here, pod, url)


def test_three_nodes_are_ready_and_take_restricted_pods_only(here: Kubectl, nodes: list[str]) -> None:
    assert len(nodes) == 3
    assert "violates PodSecurity" in here.fails("run", "bad", "--image=bad", "--privileged")
    start(here, *(server(f"server{number}", nodeName=node) for number, node in enumerate(nodes)))


def test_network_policies_block_and_allow_within_a_node_and_across_nodes(here: Kubectl, nodes: list[str]) -> None:
    near, far = nodes[:2]
    start(
        here,
        server("friend", nodeName=near),
        server("stranger", nodeName=near),
        server("near", nodeName=near),
        server("far", nodeName=far),
    )
    addresses = {name: here.get("pod", name)["status"]["podIP"] for name in ("near", "far", "friend")}
    urls = {name: f"http://{addresses[name]}:{PORT}" for name in ("near", "far")}
    for url in urls.values():
        assert addresses["friend"] in here.exec("friend", "python", "-c", ASK, url), "the caller's address is kept"

    ingress = [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]
    here.apply(*(policy(name, name, policyTypes=["Ingress"], ingress=ingress) for name in urls))

    for url in urls.values():
        eventually(partial(blocked, here, "stranger", url), 30, f"the policy keeps a stranger from {url}")
        eventually(partial(reaches, here, "friend", url), 30, f"the policy lets a friend to {url}")
    ready = "{.items[*].status.containerStatuses[*].ready}"
    assert "false" not in here("get", "pods", f"--output=jsonpath={ready}"), "probes pass whatever a policy says"

    here("delete", "networkpolicies", "--all")
    for url in urls.values():
        eventually(partial(reaches, here, "stranger", url), 30, f"without a policy anybody reaches {url}")


def test_names_resolve_until_a_policy_forbids_to_ask(here: Kubectl) -> None:
    start(here, server("asking"))
    lookup = ("python", "-c", "import socket; print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))")
    service = here.within("default").get("service", "kubernetes")["spec"]["clusterIP"]
    eventually(lambda: service in here.exec("asking", *lookup), 30, "the name of the API server resolves")

    here.apply(policy("silent", "asking", policyTypes=["Egress"]))

    def unknown() -> bool:
        try:
            return not here.exec("asking", *lookup)
        except ToolFailed as error:
            return "gaierror" in error.said

    eventually(unknown, 60, "names do not resolve any more")


def test_exec_logs_and_port_forward_lead_into_a_pod(here: Kubectl) -> None:
    start(here, server("server"))

    assert here.exec("server", "python", "-c", "import os; print(os.getuid())").strip() == "65532"
    with (
        here.port_forward("pod/server", PORT) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer,
    ):
        assert answer.read().startswith(b"server saw")
    assert "asked" in here("logs", "server")


def test_the_host_has_no_address_link_or_route_of_a_cluster_of_machines(cluster: Cluster) -> None:
    status = cluster.status()
    assert status
    if status.flavour == "machines":
        for what in ("address", "route"):
            said = subprocess.run(["ip", "-4", what], capture_output=True, text=True, check=True).stdout
            for inside in (f" {network.NODES}.", f" {network.PODS}.", f" {network.SERVICES[:6]}"):
                assert inside not in said


def test_kubectl_refuses_to_talk_to_another_cluster(kubectl: Kubectl) -> None:
    for elsewhere in ("--context=production", "--server=https://10.0.0.1", "--kubeconfig=other"):
        with pytest.raises(NotTheTestCluster):
            kubectl("get", "pods", elsewhere)
