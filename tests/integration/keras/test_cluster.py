"""A model shared and served from a notebook: real hosts, real workers, real clients."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.keras.conftest import WAIT_S, Asking, Clusters
from tests.integration.local.conftest import processes
from triveni.client import Connection
from triveni.identity.names import Identity
from triveni.keras import HostEnded, HostRefused, HostsSilent, Occupied, TFEWorker, WrongShape
from triveni.keras.background import call
from triveni.keras.link import version_of
from triveni.sharing.worker_link import Address

TOLERANCE = 0.02
"""Of a logit: SecureNN, the notebook's default, carries 16 bits after the point."""

Capture = pytest.CaptureFixture[str]
Digits = NDArray[np.float32]


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(places: Path) -> dict[int, int]:
    """Pids of the workers that run, by party; their hosts are no workers."""
    found = {}
    for pid, arguments in processes(str(places)).items():
        if " triveni.worker " in arguments:
            environment = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            config = Path(environment[-2].decode())
            found[int(re.findall(r'"party": (\d)', config.read_text())[0])] = pid
    return found


def left(places: Path) -> list[str]:
    # os.walk, unlike Path.rglob, puts up with a folder that goes meanwhile.
    walks = [walk for folder in ("temporary", "state") for walk in os.walk(places / folder)]
    files = [os.path.join(folder, name) for folder, _, names in walks for name in names]
    return files + list(processes(str(places / "temporary")).values())


def test_a_model_is_served_to_its_limit_and_again_and_nothing_is_left(
    model: Any,
    hosts: list[str],
    clusters: Clusters,
    digits: Digits,
    keras_logits: Digits,
    places: Path,
    capsys: Capture,
) -> None:
    cluster = clusters(hosts)
    first = Asking(hosts, digits[:3])  # it waits for the connection file, and for the workers
    cluster.start()
    cluster.start()
    assert cluster.connection is not None
    assert cluster.connection.stat().st_mode & 0o777 == 0o600
    model.share(cluster)
    model.serve(num_requests=3)
    np.testing.assert_allclose(first.ended(), keras_logits[:3], atol=TOLERANCE)
    assert capsys.readouterr().out.splitlines() == [
        "Three workers hold their shares of the model; 3 requests are answered.",
        *(f"Served encrypted prediction {number} to client." for number in (1, 2, 3)),
        "Request limit reached: the workers have erased their shares.",
    ]
    second = Asking(hosts, digits[3:5])
    model.serve(num_requests=2)
    np.testing.assert_allclose(second.ended(), keras_logits[3:5], atol=TOLERANCE)
    assert "Served encrypted prediction 2 to client." in capsys.readouterr().out
    assert not workers(places)
    model.shutdown_workers()
    cluster.stop()
    assert capsys.readouterr().out == ""
    assert left(places) == []


def test_workers_that_somebody_else_starts_are_told_of_and_waited_for(
    model: Any,
    hosts: list[str],
    clusters: Clusters,
    digits: Digits,
    keras_logits: Digits,
    places: Path,
    capsys: Capture,
) -> None:
    cluster, output = clusters(hosts, auto_managed=False), ""
    starting = threading.Thread(target=cluster.start)
    starting.start()

    def commands() -> list[str]:
        nonlocal output
        output += capsys.readouterr().out
        return re.findall(r"^    (triveni worker .+)$", output, re.M)

    wait_until(lambda: len(commands()) == 3)
    assert "PRIVATE" not in output
    people = [
        subprocess.Popen(
            [sys.executable, "-m", "triveni.cli", *shlex.split(command)[1:]], stdout=subprocess.PIPE, text=True
        )
        for command in commands()
    ]
    try:
        starting.join(WAIT_S)
        assert len(re.findall(r"^The worker at localhost:\d+ answers\.$", output + capsys.readouterr().out, re.M)) == 3
        model.share(cluster)
        asking = Asking(hosts, digits[:2])
        model.serve(num_requests=2)
        np.testing.assert_allclose(asking.ended(), keras_logits[:2], atol=TOLERANCE)
        model.stop()
        cluster.stop()
        assert len(re.findall(r"^Please end the worker on host localhost:\d+", capsys.readouterr().out, re.M)) == 3
    finally:
        for person in people:
            person.send_signal(signal.SIGINT)
        said = [person.communicate(timeout=WAIT_S)[0] for person in people]
    assert [person.returncode for person in people] == [0, 0, 0]
    for party, lines in enumerate(said):
        assert f"Worker {party} waits at {hosts[party]}" in lines
        assert "Epoch 1: 2 requests granted" in lines
        assert "Epoch 1 ended: all 2 granted requests were answered" in lines
    assert left(places) == []


def test_a_worker_that_is_lost_costs_an_epoch_and_the_rest_is_served(
    model: Any,
    hosts: list[str],
    clusters: Clusters,
    digits: Digits,
    keras_logits: Digits,
    places: Path,
    capsys: Capture,
) -> None:
    cluster = clusters(hosts)
    cluster.start()
    model.share(cluster)
    serving = threading.Thread(target=model.serve, args=(6,))
    serving.start()
    first = Asking(hosts, digits[:2]).ended()
    os.kill(workers(places)[1], signal.SIGKILL)
    rest = Asking(hosts, digits[2:6]).ended()
    serving.join(WAIT_S)
    np.testing.assert_allclose(np.concatenate([first, rest]), keras_logits[:6], atol=TOLERANCE)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Served")] == [
        f"Served encrypted prediction {number} to client." for number in range(1, 7)
    ]
    assert any(re.match(r"Epoch ended, a worker ended: worker 1 .*Sharing again", line) for line in lines)


def test_without_a_limit_it_serves_until_it_is_stopped(
    model: Any, hosts: list[str], clusters: Clusters, digits: Digits, places: Path, capsys: Capture
) -> None:
    cluster = clusters(hosts)
    cluster.start()
    model.share(cluster)
    serving = threading.Thread(target=model.serve)
    serving.start()
    Asking(hosts, digits[:2]).ended()
    with pytest.raises(Occupied):
        model.serve()
    with pytest.raises(Occupied):
        model.share(cluster)
    model.stop()
    assert not workers(places)
    serving.join(WAIT_S)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Served encrypted prediction 2 to client.",
        "Serving stopped: the workers have erased their shares.",
    ]


def test_a_client_asks_many_at_once_and_is_told_of_wrong_shapes(
    model: Any, hosts: list[str], clusters: Clusters, digits: Digits, keras_logits: Digits
) -> None:
    cluster = clusters(hosts)
    cluster.start()
    model.share(cluster)
    serving = threading.Thread(target=model.serve, args=(12,))
    serving.start()
    client = TFEWorker()
    for shapes in (((1, 28, 28), (1, 10)), ((1, 28, 28, 1), (1, 11))):
        with pytest.raises(WrongShape):
            client.connect_to_model(*shapes, cluster, WAIT_S)
    client.connect_to_model((None, 28, 28, 1), (None, 10), cluster, WAIT_S)
    futures = [client.query_model_async(digits[row : row + 1]) for row in range(8)]
    joined = [client.query_model_join() for _ in futures]
    np.testing.assert_allclose(np.concatenate(joined), keras_logits[:8], atol=TOLERANCE)
    assert all(future.result() is answer for future, answer in zip(futures, joined, strict=True))
    with pytest.raises(WrongShape, match="data is"):
        client.query_model(digits[0])
    np.testing.assert_allclose(client.query_model(digits[8:12]), keras_logits[8:12], atol=TOLERANCE)
    client.close()
    serving.join(WAIT_S)


def test_only_the_owner_gives_orders(hosts: list[str], clusters: Clusters) -> None:
    cluster = clusters(hosts)
    cluster.start()
    assert cluster.connection is not None
    connection = Connection.read(cluster.connection)
    me = Identity.of_client(connection.namespace, connection.uid, "client")
    with pytest.raises(HostRefused, match="no host of this cluster"):
        call(version_of(0, Address.parse(hosts[0]), connection.credentials, me))


def test_a_taken_port_is_told_and_nothing_is_left(hosts: list[str], clusters: Clusters, places: Path) -> None:
    clusters(hosts).start()
    with pytest.raises(HostEnded, match=r"cannot listen .*already in use"):
        clusters(hosts).start()
    assert len(processes(str(places / "temporary"))) == 3


def test_a_worker_that_nobody_starts_is_named_in_time(hosts: list[str], clusters: Clusters, places: Path) -> None:
    cluster = clusters(hosts, auto_managed=False)
    with pytest.raises(HostsSilent, match=rf"worker 2 at {hosts[2]}: connection refused"):
        cluster.start(timeout=2)
    assert left(places) == []


NOTEBOOK = """
import sys
from triveni.keras import TFECluster, TFEWorker
cluster = TFECluster(*map(TFEWorker, sys.argv[1:]))
cluster.start()
print("started", flush=True)
sys.stdin.read()
"""


def test_when_the_kernel_is_killed_nothing_is_left(hosts: list[str], places: Path) -> None:
    kernel = subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK, *hosts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with kernel:
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == "started\n"
        assert len(processes(str(places / "temporary"))) == 3
        kernel.kill()
    wait_until(lambda: left(places) == [])
