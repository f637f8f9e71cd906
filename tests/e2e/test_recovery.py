"""What happens when workers die and users change their minds, on a real cluster."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.securemodels import DIGITS, Models, mnist, plain_answers
from tests.e2e.waiting import eventually
from triveni.identity.credentials import Credentials
from triveni.identity.tls import client_context

INFER = 8443


def test_after_a_killed_worker_the_next_epoch_serves_and_knows_no_certificate_of_the_last(
    models: Models, tmp_path: Path
) -> None:
    models.apply(mnist(requestQuota=20))
    models.until_ready()
    old = worker_credentials(models, epoch=1, party=1, folder=tmp_path)
    before = models.predict(images=DIGITS[:2])

    models.kubectl("delete", "pod", "mnist-e1-worker-1", "--grace-period=0", "--force")
    status = models.until_ready(epoch=2)

    after = models.predict(images=DIGITS[:2])
    assert np.abs(np.array(after) - np.array(before)).max() < 1e-3
    assert status["quota"] == {"charged": 2, "remaining": 18}
    assert status["epoch"]["grant"] == 18
    assert {name.split("-e")[1][0] for name in models.objects() if "-e" in name} == {"2"}, "nothing is left of epoch 1"
    for port in (8443, 8444):
        assert refuses(models, "mnist-e2-worker-0", port, old), f"port {port} lets in a worker of epoch 1"


def test_raising_the_quota_serves_on_and_lowering_it_ends(models: Models) -> None:
    models.apply(mnist(requestQuota=2))
    models.until_ready()
    models.predict(images=DIGITS[:2])
    models.until("QuotaReached")
    models.until_gone()

    models.patch(requestQuota=5)
    models.until_ready(epoch=2)
    answers = models.predict(images=DIGITS[:2])
    assert np.abs(np.array(answers) - plain_answers(DIGITS[:2])).max() < 1e-3

    models.patch(requestQuota=1)
    models.until("QuotaReached")
    models.until_gone()
    status = models.status()
    assert status["quota"] == {"charged": 4, "remaining": 0}
    assert [charge["rows"] for charge in status["charges"]] == [2, 2]
    assert status["served"] == 4


def test_suspending_ends_the_workers_and_resuming_serves_the_rest(models: Models) -> None:
    models.apply(mnist(requestQuota=9))
    models.until_ready()
    models.predict(images=DIGITS[:3])
    eventually(lambda: models.status()["served"] == 3, 30, "the live count is shown")
    assert models.status()["quota"]["charged"] == 0, "an epoch that serves is charged when it ends"

    models.patch(suspend=True)
    models.until("Ready", "False", "Suspended")
    eventually(lambda: not models.pods() and not models.pods("sharing"), 60, "no pod is left")
    charge = models.status()["charges"][-1]
    assert (charge["rows"], charge["ended"]) == (3, "Suspended")
    assert [worker["answered"] for worker in charge["workers"]] == [3, 3, 3], "every worker was heard"
    assert "Secret/mnist-client" in models.objects(), "the client's connection stays valid"

    models.patch(suspend=False)
    status = models.until_ready(epoch=2)
    assert status["epoch"]["grant"] == 6
    models.predict(images=DIGITS[:1])


def test_nobody_takes_back_what_was_charged(models: Models) -> None:
    """Not even whoever may write the status."""

    def status(**fields: object) -> list[str]:
        change = json.dumps({"status": fields or None})
        return ["patch", "securemodel", "mnist", "--subresource=status", "--type=merge", f"--patch={change}"]

    models.apply(mnist(requestQuota=9, suspend=True))
    models.until("Ready", "False", "Suspended")
    models.kubectl(*status(quota={"charged": 5}))
    assert "never taken back" in models.kubectl.fails(*status(quota={"charged": 4}))
    assert "never forgotten" in models.kubectl.fails(*status(quota=None))
    assert models.status()["quota"]["charged"] == 5


def test_with_recovery_never_a_lost_worker_is_the_end_and_said_so(models: Models) -> None:
    models.apply(mnist(requestQuota=9, recovery="Never"))
    models.until_ready()
    models.kubectl("delete", "pod", "mnist-e1-worker-2", "--grace-period=0", "--force")
    ready = models.until("Ready", "False", "RecoveryNever")
    assert "spec.recovery" in ready["message"]
    eventually(lambda: not models.pods(), 60, "the other workers are gone")


def worker_credentials(models: Models, *, epoch: int, party: int, folder: Path) -> Credentials:
    """What a worker of an epoch had: somebody kept a copy."""
    data: dict[str, Any] = models.kubectl.get("secret", f"mnist-e{epoch}-worker-{party}")["data"]
    parts = [base64.b64decode(data[name]) for name in ("tls.crt", "tls.key", "ca.crt")]
    return Credentials(*parts)


def refuses(models: Models, pod: str, port: int, credentials: Credentials) -> bool:
    """Whether a pod ends the TLS connection of whoever shows these credentials."""
    import socket

    context = client_context(credentials)
    with (
        models.kubectl.port_forward(f"pod/{pod}", port) as local,
        socket.create_connection(("127.0.0.1", local), timeout=20) as plain,
    ):
        try:
            with context.wrap_socket(plain, server_hostname=None) as secured:
                secured.sendall(b"GET /v2 HTTP/1.1\r\nHost: worker\r\n\r\n")
                said = secured.recv(4096)
        except (ssl.SSLError, OSError):
            return True
    return not said or b" 403 " in said.split(b"\r\n")[0]
