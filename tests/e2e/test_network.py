"""Who can reach whom in the cluster: the policies of a SecureModel, enforced by a real network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.e2e.cluster import images
from tests.e2e.securemodels import DIGITS, Models, mnist, plain_answers
from tests.e2e.tools import ToolFailed
from tests.e2e.waiting import eventually

KNOCK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3):
    print("reached")
"""

LOOK_UP = "import socket; print('found', socket.gethostbyname('kubernetes.default.svc.cluster.local'))"

PREDICT = """
import json, sys
import numpy as np
from triveni.client import Client, Connection
with Client(Connection.read("/connection/connection.json"), deadline=60) as client:
    for row in json.load(sys.stdin):
        print(json.dumps(client.predict(np.array(row)).ravel().tolist()))
"""


def pod(name: str, labels: dict[str, str], *, secret: str | None = None) -> dict[str, Any]:
    """A restricted pod that idles; with the clients' Secret, if it is one of them."""
    container: dict[str, Any] = {
        "name": "pod",
        "image": images.name("worker"),
        "command": ["python", "-c", "import signal; signal.pause()"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    spec: dict[str, Any] = {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 65532},
        "containers": [container],
    }
    if secret is not None:
        container["volumeMounts"] = [{"name": "connection", "mountPath": "/connection", "readOnly": True}]
        spec["volumes"] = [{"name": "connection", "secret": {"secretName": secret, "defaultMode": 0o440}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def reaches(models: Models, name: str, host: str, port: int) -> bool:
    try:
        return "reached" in models.kubectl.exec(name, "python", "-c", KNOCK, host, str(port))
    except ToolFailed:
        return False


def test_only_who_is_allowed_reaches_a_worker_and_a_worker_reaches_only_its_peers(models: Models) -> None:
    models.apply(mnist(requestQuota=5))
    models.until_ready()
    models.kubectl.apply(
        pod("client", {"triveni.dev/client": "mnist"}, secret="mnist-client"),
        pod("stranger", {"app": "stranger"}),
    )
    models.kubectl("wait", "pod/client", "pod/stranger", "--for=condition=Ready", "--timeout=60s")
    workers = {w["metadata"]["labels"]["triveni.dev/party"]: w for w in models.pods()}
    service = models.kubectl.get("service", "mnist-worker-0")["spec"]["clusterIP"]
    address = workers["0"]["status"]["podIP"]
    api = models.kubectl.within("default").get("service", "kubernetes")["spec"]["clusterIP"]
    stranger = models.kubectl.get("pod", "stranger")["status"]["podIP"]

    # Who may call. The allowed one shows that the way as such is open.
    eventually(lambda: reaches(models, "client", service, 8443), 30, "a client reaches a worker by its Service")
    assert reaches(models, "client", address, 8443)
    for host in (service, address):
        assert not reaches(models, "stranger", host, 8443), "a stranger reaches a worker"
        assert not reaches(models, "client", host, 8444), "a client reaches the port of the peers"
    assert not reaches(models, "client", address, 8080), "a client reaches the port of the probes"

    # Whom a worker may call.
    worker, peer = "mnist-e1-worker-1", workers["2"]["status"]["podIP"]
    assert reaches(models, worker, peer, 8444)
    assert not reaches(models, worker, peer, 8443), "a worker asks for predictions"
    assert not reaches(models, worker, api, 443), "a worker reaches the API server"
    assert not reaches(models, worker, stranger, 8443), "a worker reaches another pod"
    assert "found" in models.kubectl.exec("stranger", "python", "-c", LOOK_UP), "names resolve, where it is allowed"
    try:
        said = models.kubectl.exec(worker, "python", "-c", LOOK_UP)
    except ToolFailed as failed:
        said = failed.said
    assert "gaierror" in said, "a worker asks the DNS"

    # And the client gets what it came for.
    rows = json.dumps([digit_pixels(index) for index in range(2)])
    said = models.kubectl("exec", "-i", "client", "--", "python", "-c", PREDICT, text=rows)
    answers = [json.loads(line) for line in said.splitlines()]
    assert np.abs(np.array(answers) - plain_answers(DIGITS[:2])).max() < 1e-3


def digit_pixels(index: int) -> list[Any]:
    """A digit as the client library takes it."""
    from triveni.cli.images import read_images

    (image,) = read_images([DIGITS[index]], (28, 28, 1))
    values: list[Any] = np.asarray(image.values).reshape(28, 28, 1).tolist()
    return values


def test_worker_pods_are_closed_in(models: Models) -> None:
    models.apply(mnist())
    models.until_ready()
    name = "mnist-e1-worker-0"
    look = (
        "import os, resource, json; "
        "core = resource.getrlimit(resource.RLIMIT_CORE); "
        "limits = open('/proc/1/limits').read(); "
        "dump = [l for l in limits.splitlines() if 'core' in l][0].split(); "
        "print(json.dumps({'uid': os.getuid(), 'token': os.path.exists('/var/run/secrets/kubernetes.io'), "
        "'core': dump[4:6], 'services': [k for k in os.environ if k.endswith('_SERVICE_HOST')], "
        "'root': os.access('/', os.W_OK), 'init': open('/proc/1/cmdline').read().split(chr(0))[:3]}))"
    )
    seen = json.loads(models.kubectl.exec(name, "python", "-c", look))
    assert seen == {
        "uid": 65532,
        "token": False,
        "core": ["0", "0"],
        "services": [],
        "root": False,
        "init": ["python", "-m", "triveni.worker"],
    }
