"""Pods pass each control of the Pod Security Standards, level restricted (https://k8s.io/docs: Pod Security Standards).

The list is that of the standard for Kubernetes 1.34, baseline and restricted together. Further down: what this project
asks of a pod beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.controller.objects.samples import CASES, everything, pod_specs, read_case
from triveni.identity.authority import Authority

Check = Callable[[dict[str, Any], dict[str, Any]], bool]
"""Whether a pod's spec and one of its containers pass."""

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def security(scope: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = scope.get("securityContext", {})
    return found


def either(pod: dict[str, Any], container: dict[str, Any], field: str) -> Any:
    """A field that a container may set, else the pod."""
    return security(container).get(field, security(pod).get(field))


def probes(container: dict[str, Any]) -> list[dict[str, Any]]:
    return [container[probe] for probe in ("livenessProbe", "readinessProbe", "startupProbe") if probe in container]


BASELINE: dict[str, Check] = {
    "no host process": lambda pod, c: either(pod, c, "windowsOptions") is None,
    "no host namespaces": lambda pod, c: not any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")),
    "not privileged": lambda pod, c: not security(c).get("privileged"),
    "no capabilities added": lambda pod, c: not security(c).get("capabilities", {}).get("add"),
    "no host path": lambda pod, c: not any("hostPath" in volume for volume in pod["volumes"]),
    "no host port": lambda pod, c: not any("hostPort" in port for port in c.get("ports", [])),
    "no host in a probe": lambda pod, c: not any("host" in probe["httpGet"] for probe in probes(c)),
    "AppArmor as the runtime has it": lambda pod, c: either(pod, c, "appArmorProfile") is None,
    "SELinux as the runtime has it": lambda pod, c: either(pod, c, "seLinuxOptions") is None,
    "/proc masked": lambda pod, c: security(c).get("procMount", "Default") == "Default",
    "no sysctls": lambda pod, c: not security(pod).get("sysctls"),
}

RESTRICTED: dict[str, Check] = {
    "volumes of allowed types": lambda pod, c: all(set(volume) - {"name"} <= VOLUMES for volume in pod["volumes"]),
    "no privilege escalation": lambda pod, c: security(c).get("allowPrivilegeEscalation") is False,
    "must run as non-root": lambda pod, c: either(pod, c, "runAsNonRoot") is True,
    "user is not root": lambda pod, c: either(pod, c, "runAsUser") != 0,
    "seccomp": lambda pod, c: either(pod, c, "seccompProfile")["type"] in ("RuntimeDefault", "Localhost"),
    "all capabilities dropped": lambda pod, c: security(c)["capabilities"]["drop"] == ["ALL"],
}

OURS: dict[str, Check] = {
    "root file system read-only": lambda pod, c: security(c)["readOnlyRootFilesystem"] is True,
    "no service account token": lambda pod, c: pod["automountServiceAccountToken"] is False,
    "no Services in the environment": lambda pod, c: pod["enableServiceLinks"] is False,
    "never restarted": lambda pod, c: pod["restartPolicy"] == "Never",
    "what can be written is memory, with a limit": lambda pod, c: (
        [v["emptyDir"] for v in pod["volumes"] if v["name"] in _writable(c)]
        == [{"medium": "Memory", "sizeLimit": "128Mi"}]
    ),
    "every mount has its volume": lambda pod, c: (
        {mount["name"] for mount in c["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    ),
    "memory is bounded": lambda pod, c: "memory" in c["resources"]["limits"] and "memory" in c["resources"]["requests"],
    "one container": lambda pod, c: pod["containers"] == [c] and "initContainers" not in pod,
    "Secrets readable by nobody else": lambda pod, c: all(
        volume["secret"]["defaultMode"] == 0o440 for volume in pod["volumes"] if "secret" in volume
    ),
}


def _writable(container: dict[str, Any]) -> set[str]:
    return {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("control", [*BASELINE, *RESTRICTED, *OURS])
def test_pods_are_closed_in(control: str, case: str, authority: Authority) -> None:
    passes = (BASELINE | RESTRICTED | OURS)[control]
    pods = pod_specs(everything(read_case(case), authority))
    assert len(pods) == (3 if case == "owner" else 4)
    for pod in pods:
        assert all(passes(pod, container) for container in pod["containers"])
