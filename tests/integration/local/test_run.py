"""`triveni run examples/mnist.yaml`: real workers, real shares, to the quota and to every other end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.integration.local.conftest import MANIFEST, Run, wait_until
from triveni.client import Client, Connection, InvalidConnection, QuotaReached, WrongInput, WrongWorker
from triveni.identity.authority import Authority
from triveni.identity.names import Identity

StartRun = Callable[..., Run]

DIGITS = MANIFEST.parent / "mnist"


def digits() -> tuple[np.ndarray, np.ndarray]:
    with np.load(DIGITS / "digits.npz") as archive:
        return archive["images"], archive["labels"]


def test_it_serves_to_the_quota_shows_each_digit_and_leaves_nothing(triveni_run: StartRun) -> None:
    run = triveni_run(MANIFEST)
    assert run.end() == 0
    text = "\n".join(run.lines)
    assert run.served == [1, 2, 3]
    secret = re.findall(r"secret prediction  (\d)", text)
    plain = re.findall(r"plain Keras        (\d)", text)
    assert secret == plain
    assert secret == [str(label) for label in digits()[1][:3]]
    assert all(float(d) < 1e-3 for d in re.findall(r"largest difference of a logit (\S+)", text))
    assert "█" in text
    assert "Request quota reached: 3 answered" in text
    assert "  charged in all: 3 of a quota of 3" in run.lines
    assert len(re.findall(r"  erased  +worker \d of epoch 1: \d+ bytes at ", text)) == 3
    assert run.left() == []


def test_files_are_predicted_and_then_it_ends_without_reaching_the_quota(triveni_run: StartRun) -> None:
    run = triveni_run(MANIFEST, "--quota", "50", "--predict", *sorted((DIGITS / "digits").glob("*.png"))[:4])
    assert run.end() == 0
    assert run.served == [1, 2, 3, 4]
    expected = [str(label) for label in digits()[1][:4]]
    assert re.findall(r"secret prediction  (\d)", "\n".join(run.lines)) == expected
    assert "  charged in all: 4 of a quota of 50" in run.lines
    assert run.left() == []


def test_more_files_than_the_quota_is_a_failure_that_says_how_many(triveni_run: StartRun) -> None:
    run = triveni_run(MANIFEST, "--quota", "2", "--predict", DIGITS / "digits.npz")
    assert run.end() == 4
    assert run.served == [1, 2]
    assert "(2 of 200 predicted)" in run.lines[-1]


def test_other_clients_are_served_until_the_quota(triveni_run: StartRun, tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    run = triveni_run(MANIFEST, "--quota", "40", "--keep-serving", "--connection", path)
    run.read_to("Serving after")
    images, labels = digits()
    connection = Connection.read(path)
    with Client(connection) as client:
        logits = client.predict(images[:37])
        assert (logits.argmax(1) == labels[:37]).mean() > 0.9
        with pytest.raises(WrongInput):
            client.predict(np.zeros((28, 27, 1)))
        with pytest.raises(WrongInput):
            client.predict(np.full((28, 28, 1), np.nan))
        stranger = Authority.create(connection.namespace, connection.uid)
        identity = Identity.of_client(connection.namespace, connection.uid, "client")
        foreign = Connection(
            connection.name, connection.namespace, connection.uid, connection.workers, stranger.issue(identity)
        )
        with Client(foreign, deadline=5) as other, pytest.raises(WrongWorker):
            other.predict(images[0])
        command = [sys.executable, "-m", "triveni.cli", "predict", "--connection", str(path)]
        done = subprocess.run(
            [*command, *map(str, sorted((DIGITS / "digits").glob("*.png"))[:3])],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert [int(line.split()[1]) for line in done.stdout.splitlines()[1:]] == list(labels[:3])
        with pytest.raises(QuotaReached):
            client.predict(images[0])
    assert run.end() == 0
    assert run.served == list(range(1, 41))
    assert "  charged in all: 40 of a quota of 40" in run.lines
    assert run.left() == []
    assert not path.exists()
    with pytest.raises(InvalidConnection):
        Connection.read(path)


@pytest.mark.parametrize(
    "moment", ["^Triveni", "^Epoch 1: ", "start three workers", "compile and prove", "Serving", "prediction 2", "ended"]
)
def test_ctrl_c_leaves_nothing_running_and_no_file(triveni_run: StartRun, tmp_path: Path, moment: str) -> None:
    path = tmp_path / "connection.json"
    quota = "3" if moment == "ended" else "1000000"
    run = triveni_run(MANIFEST, "--quota", quota, "--connection", path)
    run.read_to(moment)
    run.send(signal.SIGINT)
    assert run.end() == 130
    assert run.lines[-1].startswith("triveni: interrupted")
    assert not any("Traceback" in line for line in run.lines)
    assert run.left() == []
    assert not path.exists()


def test_when_the_runner_is_killed_nothing_is_left_either(triveni_run: StartRun) -> None:
    run = triveni_run(MANIFEST, "--keep-serving")
    run.read_to("Serving")
    assert len(run.workers()) == 3
    run.kill()
    wait_until(lambda: run.left() == [])


def test_a_worker_killed_three_times_costs_epochs_but_never_an_answer_too_many(triveni_run: StartRun) -> None:
    run = triveni_run(MANIFEST, "--quota", "200")
    killed = []
    for number, party in ((20, 0), (70, 1), (130, 2)):
        run.read_to(f"Served encrypted prediction {number} to client")
        pid = run.workers()[party]
        os.kill(pid, signal.SIGKILL)
        killed.append(run.read_to(r"Epoch (\d) ended: a worker ended: worker (\d) was ended by SIGKILL"))
    assert run.end() == 0
    assert [(match[1], match[2]) for match in killed] == [("1", "0"), ("2", "1"), ("3", "2")]
    assert run.served == list(range(1, len(run.served) + 1))
    assert 196 <= len(run.served) <= 200  # each kill may charge a request whose answer the client asked for again
    predictions = [line for line in run.lines if "secret prediction" in line]
    assert len(predictions) <= 200
    charged = [int(match[1]) for line in run.lines if (match := re.match(r"    charged (\d+): ", line))]
    granted = [int(match[1]) for line in run.lines if (match := re.match(r"  epoch \d: granted (\d+)", line))]
    assert granted == [200 - sum(charged[:epoch]) for epoch in range(4)]
    assert sum(charged) == 200
    assert "  charged in all: 200 of a quota of 200" in run.lines
    assert sum(line == f"    worker {p}: no report" for line in run.lines for p in range(3)) == 3
    assert run.left() == []


def test_a_client_lives_through_a_new_epoch(triveni_run: StartRun, tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    run = triveni_run(MANIFEST, "--quota", "9", "--keep-serving", "--connection", path)
    run.read_to("Serving")
    images, labels = digits()
    with Client(Connection.read(path)) as client:
        before = client.predict(images[:4])
        os.kill(run.workers()[1], signal.SIGKILL)
        after = client.predict(images[:4])
        np.testing.assert_allclose(before, after, atol=1e-3)
        assert list(client.predict(images[4:5]).argmax(1)) == list(labels[4:5])
    assert run.end() == 0
    assert "  charged in all: 9 of a quota of 9" in run.lines


def test_the_first_prediction_comes_soon_with_a_warm_cache(triveni_run: StartRun) -> None:
    assert triveni_run(MANIFEST).end() == 0
    began = time.monotonic()
    run = triveni_run(MANIFEST)
    run.read_to("Served encrypted prediction 1 to client")
    seconds = time.monotonic() - began
    assert seconds < 30  # far above the target of 6 s, for a machine that is busy with other tests
    assert run.end() == 0
