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

IDLE = "import signal; signal.pause()"

LISTEN = """
import signal, socket
ears = [socket.create_server(("", port)) for port in (8443, 8444, 8080, 9000)]
signal.pause()
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


def pod(name: str, labels: dict[str, str], *, secret: str | None = None, script: str = IDLE) -> dict[str, Any]:
    """A restricted pod that idles, or runs a script; with the clients' Secret, if it is one of them."""
    container: dict[str, Any] = {
        "name": "pod",
        "image": images.name("worker"),
        "command": ["python", "-c", script],
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
    """The policies pick pods by their labels: `ears`, which has those of a worker, listens where workers do not."""
    models.apply(mnist(requestQuota=5))
    models.until_ready()
    uid = models.kubectl.get("securemodel", "mnist")["metadata"]["uid"]
    as_worker = {"triveni.dev/model-uid": uid, "app.kubernetes.io/component": "worker"}
    models.kubectl.apply(
        pod("client", {"triveni.dev/client": "mnist"}, secret="mnist-client"),
        pod("stranger", {"app": "stranger"}, script=LISTEN),
        pod("ears", as_worker, script=LISTEN),
    )
    models.kubectl("wait", "pod/client", "pod/stranger", "pod/ears", "--for=condition=Ready", "--timeout=60s")
    address = {name: models.kubectl.get("pod", name)["status"]["podIP"] for name in ("ears", "stranger")}
    service = models.kubectl.get("service", "mnist-worker-0")["spec"]["clusterIP"]
    api = models.kubectl.within("default").get("service", "kubernetes")["spec"]["clusterIP"]
    worker = "mnist-e1-worker-1"

    # Who may call. That the allowed ones get through shows that the way as such is open.
    eventually(lambda: reaches(models, "client", service, 8443), 30, "a client reaches a worker by its Service")
    eventually(lambda: reaches(models, "client", address["ears"], 8443), 30, "a client reaches a worker")
    assert reaches(models, worker, address["ears"], 8444), "a worker reaches its peers"
    assert reaches(models, "client", address["stranger"], 9000), (
        "where there is no policy, everybody reaches everything"
    )
    for port in (8443, 8444, 8080, 9000):
        assert not reaches(models, "stranger", address["ears"], port), f"a stranger reaches port {port} of a worker"
    for port in (8444, 8080, 9000):
        assert not reaches(models, "client", address["ears"], port), f"a client reaches port {port} of a worker"

    # Whom a worker may call.
    for port in (8443, 8080, 9000):
        assert not reaches(models, worker, address["ears"], port), f"a worker reaches port {port} of its peer"
    assert not reaches(models, worker, address["stranger"], 8444), "a worker reaches another pod"
    assert not reaches(models, worker, api, 443), "a worker reaches the API server"
    assert "found" in models.kubectl.exec("stranger", "python", "-c", LOOK_UP), "names resolve, where it is allowed"
    assert "gaierror" in models.kubectl.fails("exec", worker, "--", "python", "-c", LOOK_UP), "a worker asks the DNS"

    # And the client gets what it came for.
    rows = json.dumps([digit_pixels(index) for index in range(2)])
    said = models.kubectl("exec", "-i", "client", "--", "python", "-c", PREDICT, text=rows)
    answers = [json.loads(line) for line in said.splitlines()]
    assert np.abs(np.array(answers) - plain_answers(DIGITS[:2])).max() < 1e-3


def digit_pixels(index: int) -> list[Any]:
    """A digit as the client library takes it."""
    from triveni.cli.inputs import read_rows

    (image,) = read_rows([DIGITS[index]], (28, 28, 1))
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
        "'root': os.access('/', os.W_OK), 'init': open('/proc/1/cmdline').read().split(chr(0))[1:3]}))"
    )
    seen = json.loads(models.kubectl.exec(name, "python", "-c", look))
    assert seen == {
        "uid": 65532,
        "token": False,
        "core": ["0", "0"],
        "services": ["KUBERNETES_SERVICE_HOST"],  # in every pod, whatever it asks for; the way there is closed
        "root": False,
        "init": ["-m", "triveni.worker"],  # the worker itself, no shell around it
    }
