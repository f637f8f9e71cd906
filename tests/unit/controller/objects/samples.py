"""SecureModels as they are in a cluster, and everything that is built for them, with stand-ins for what is random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import (
    ClusterIPs,
    Object,
    Settings,
    authority_secret,
    client_secret,
    disruption_budget,
    is_owners,
    network_policies,
    services,
    sharing_job,
    sharing_secret,
    worker_pod,
    worker_secret,
)
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials

GOLDEN = Path(__file__).parent / "golden"

CASES = sorted(path.name.removesuffix(".input.yaml") for path in GOLDEN.glob("*.input.yaml"))

UID = "6f3b1c52-9d0e-4a57-8f21-0c6f5d1f7a90"

EPOCH, GRANT = 3, 100

CLUSTER_IPS: ClusterIPs = ("10.96.0.10", "10.96.0.11", "10.96.0.12")

SETTINGS = Settings("registry.example/triveni-worker:1.2.3", "IfNotPresent", ("registry-of-the-operator",), "triveni")


def read_case(case: str) -> SecureModel:
    """The SecureModel of a golden case."""
    return in_cluster(yaml.safe_load((GOLDEN / f"{case}.input.yaml").read_text()))


def in_cluster(document: dict[str, Any], uid: str = UID) -> SecureModel:
    """A manifest as the API server hands it on: with a uid."""
    return SecureModel.read({**document, "metadata": {"namespace": "default", **document["metadata"], "uid": uid}})


def secure_model(name: str = "mnist", namespace: str = "default", **spec: Any) -> SecureModel:
    """A small SecureModel with some fields of its spec (wire names)."""
    return in_cluster(
        {
            "apiVersion": "triveni.dev/v1alpha1",
            "kind": "SecureModel",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"model": {"source": {"configMap": {"name": "mnist-model", "key": "model.keras"}}}, **spec},
        }
    )


def credentials(whose: str) -> Credentials:
    """Stand-ins that say what they stand for."""
    return Credentials(
        f"<certificate of {whose}>".encode(), f"<key of {whose}>".encode(), b"<certificate of the authority>"
    )


def everything(model: SecureModel, authority: Authority, epoch: int = EPOCH) -> list[Object]:
    """All objects of `model` in an epoch, in the order in which they are created."""
    parties, ips = range(3), CLUSTER_IPS
    return [
        authority_secret(model, authority),
        client_secret(model, credentials("the client"), ips),
        *services(model, epoch),
        *network_policies(model, SETTINGS),
        disruption_budget(model),
        *(worker_secret(model, epoch, GRANT, p, credentials(f"worker {p}"), ips) for p in parties),
        *(worker_pod(model, epoch, p, SETTINGS) for p in parties),
        sharing_secret(model, epoch, credentials("the sharing job")),
        *([] if is_owners(model) else [sharing_job(model, epoch, ips, SETTINGS)]),
    ]


def pod_specs(objects: list[Object]) -> list[Object]:
    """The specs of all pods: the workers' and that of the job."""
    specs = [item["spec"] for item in objects if item["kind"] == "Pod"]
    return specs + [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Job"]
