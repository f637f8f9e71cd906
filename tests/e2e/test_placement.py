"""Where the three workers are, and what is said when they cannot be apart."""

from __future__ import annotations

from tests.e2e.securemodels import Models, mnist


def one_node(models: Models) -> str:
    nodes = [node for node in models.kubectl.get("nodes") if not node["spec"].get("taints")]
    return str(nodes[0]["metadata"]["labels"]["kubernetes.io/hostname"])


def test_where_there_is_one_node_required_independence_waits_and_says_why(models: Models) -> None:
    """`nodeSelector` makes it a cluster of one node for this SecureModel."""
    workers = {"independence": "Required", "nodeSelector": {"kubernetes.io/hostname": one_node(models)}}
    models.apply(mnist(workers=workers))
    told = models.until("PartiesIndependent", "False", "Unschedulable")
    assert "anti-affinity" in told["message"]
    assert "add nodes, or write independence: Preferred" in told["message"]
    assert models.condition("Ready")["status"] == "False"
    assert sorted(pod["status"]["phase"] for pod in models.pods())[0] == "Pending"


def test_where_there_is_one_node_preferred_independence_serves_and_warns(models: Models) -> None:
    models.apply(mnist(workers={"nodeSelector": {"kubernetes.io/hostname": one_node(models)}}))
    models.until_ready()
    told = models.condition("PartiesIndependent")
    assert (told["status"], told["reason"]) == ("False", "Together")
    assert "may see two shares" in told["message"]
    models.predict()
