"""What the pods of workers and of the sharing job have in common: they are closed in as far as Kubernetes can do it.

The pod security level is `restricted`, the root file system cannot be written, what is written lies in memory, there is
no token of a service account, and nothing of the namespace's Services in the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import places
from triveni.controller.objects.owned import Object
from triveni.controller.objects.placement import where
from triveni.controller.objects.source import Mount
from triveni.controller.objects.wanted import wanted

USER = 65532
"""The user and group of the image."""

SCRATCH_BYTES = "128Mi"
"""The compiler's temporary files; counts towards the memory limit."""


@dataclass(frozen=True)
class Settings:
    """What the operator is told when it is started; a SecureModel may have an image of its own.

    `operator_namespace` is where the operator itself runs, None if that is outside the cluster.
    """

    worker_image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    operator_namespace: str | None = None


@dataclass(frozen=True)
class Resources:
    """What a container is given where the SecureModel does not say it: CPU and memory requested, memory at most.

    No limit of CPU: a throttled worker keeps the other two waiting in every round.
    """

    cpu: str
    memory: str
    memory_limit: str


def pod_spec(
    model: SecureModel,
    settings: Settings,
    container: Object,
    mounts: Sequence[Mount],
    resources: Resources,
    seconds_to_end: int,
) -> Object:
    """The spec of a pod with one container, which is given by its name, its command and what only it needs.

    `spec.workers.resources` replaces `resources` as a whole: a request of the one could pass a limit of the
    other. It counts for the sharing job as well, which holds the model once where the workers hold its shares.
    """
    workers = wanted(model)
    scratch = Mount("scratch", places.SCRATCH, {"emptyDir": {"medium": "Memory", "sizeLimit": SCRATCH_BYTES}})
    volume_mounts = [{"name": mount.name, "mountPath": mount.directory, "readOnly": True} for mount in mounts]
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": seconds_to_end,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": container["name"],
                "image": workers.get("image", settings.worker_image),
                "imagePullPolicy": settings.image_pull_policy,
                **container,
                "env": [{"name": "HOME", "value": places.SCRATCH}],
                "resources": workers.get("resources") or _object(resources),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": [*volume_mounts, {"name": scratch.name, "mountPath": scratch.directory}],
            }
        ],
        "volumes": [{"name": mount.name, **mount.volume} for mount in (*mounts, scratch)],
        **where(model),
    }
    secrets = [*settings.image_pull_secrets, *(secret["name"] for secret in workers.get("imagePullSecrets", ()))]
    if secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in dict.fromkeys(secrets)]
    return spec


def credentials_mount(secret: str) -> Mount:
    """The Secret of a worker or of the sharing job, which only its own process may read."""
    return Mount("credentials", places.CREDENTIALS, {"secret": {"secretName": secret, "defaultMode": 0o440}})


def without_names() -> Object:
    """For a pod that is given addresses: a look-up fails at once, not after waiting for what no policy lets in."""
    return {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["127.0.0.1"]}}


def _object(resources: Resources) -> Object:
    return {
        "requests": {"cpu": resources.cpu, "memory": resources.memory},
        "limits": {"memory": resources.memory_limit},
    }
