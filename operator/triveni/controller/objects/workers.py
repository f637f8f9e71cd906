"""The pods of the three workers, and the budget that keeps a drained node from ending an epoch.

A worker is a bare pod that is never restarted: its shares are in its memory, and a new process would have none.
"""

from __future__ import annotations

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import deadlines, names, places, ports
from triveni.controller.objects.names import Component
from triveni.controller.objects.owned import Object, owned
from triveni.controller.objects.placement import affinity
from triveni.controller.objects.pod import Resources, Settings, credentials_mount, pod_spec, without_names
from triveni.identity.names import PARTIES

RESOURCES = Resources(cpu="100m", memory="256Mi", memory_limit="1Gi")
"""For the tutorial's networks. Measured: a serving worker holds 75 to 110 MB, the compiler 600 MB more for the 8
seconds that it runs, and what lies in /tmp counts as well.

Request and limit of memory differ, so a node whose kubelet uses swap may swap a worker out; where there are such nodes,
`spec.workers.resources` with two equal numbers forbids it."""


def worker_pod(model: SecureModel, epoch: int, party: int, settings: Settings) -> Object:
    """The pod of one worker. Its Secret has the same name."""
    name = names.worker(model, epoch, party)
    container: Object = {
        "name": "worker",
        "command": ["python", "-m", "triveni.worker"],
        "args": ["--config", f"{places.CREDENTIALS}/{places.CONFIG_FILE}"],
        "ports": [
            _container_port("infer", ports.CLIENTS),
            _container_port("peers", ports.PEERS),
            _container_port("health", ports.HEALTH),
        ],
        # Patient, since the end of one worker is the end of the epoch: a minute without an answer is no load.
        "livenessProbe": _probe("/healthz", period=10, timeout=5, failures=6),
        # Often, since somebody waits for it.
        "readinessProbe": _probe("/readyz", period=1, timeout=2, failures=3),
    }
    spec = pod_spec(model, settings, container, [credentials_mount(name)], RESOURCES, deadlines.WORKER_END)
    pod = owned("v1", "Pod", model, name, Component.WORKER, epoch, party)
    return pod | {"spec": spec | without_names() | {"affinity": affinity(model, epoch)}}


def disruption_budget(model: SecureModel) -> Object:
    """Lets no serving worker be evicted. Workers that do not serve may be: an epoch without success holds no node."""
    budget = owned("policy/v1", "PodDisruptionBudget", model, names.disruption_budget(model), Component.WORKER)
    return budget | {
        "spec": {
            "minAvailable": len(PARTIES),
            "selector": {"matchLabels": names.selector(model, Component.WORKER)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
    }


def _container_port(name: str, port: int) -> Object:
    return {"name": name, "containerPort": port, "protocol": "TCP"}


def _probe(path: str, *, period: int, timeout: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": ports.HEALTH},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }
