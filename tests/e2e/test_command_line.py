"""The command line in front of a real cluster: what it shows of a SecureModel, and what it asks of one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import binaries
from tests.e2e.cluster.places import PROJECT
from tests.e2e.namespaces import fresh_namespaces
from tests.e2e.operator import NAMESPACE, Operator
from tests.e2e.securemodels import DIGITS, Models, mnist
from tests.e2e.tools import Kubectl
from tests.e2e.waiting import eventually

MODEL = PROJECT / "examples" / "mnist" / "model.keras"

SCRIPTS = Path(sys.executable).parent

SECONDS = 120


def triveni(models: Models, command: str, *arguments: object, code: int = 0) -> str:
    """Run a command in the namespace of the models; its output, or its words if it should fail."""
    where = [f"--kubeconfig={models.kubectl.kubeconfig}", f"--namespace={models.kubectl.namespace}"]
    line = [sys.executable, "-m", "triveni.cli", command, *where, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def served(release: Operator, kubectl: Kubectl) -> Iterator[Models]:
    """The example, serving, with a quota of 50."""
    with fresh_namespaces(kubectl, 1) as (within,):
        models = Models(within)
        models.apply(mnist(requestQuota=50))
        models.until_ready()
        yield models


@pytest.fixture
def serving(served: Models, operator: Operator) -> Models:
    """The same, for a test after which the operator must not have stumbled."""
    return served


def test_a_running_model_is_shown_watched_measured_and_asked(serving: Models) -> None:
    shown = json.loads(triveni(serving, "status", "mnist", "--json"))
    assert (shown["quota"], shown["epoch"], shown["phase"]) == (50, 1, "Serving")
    text = triveni(serving, "status", "mnist")
    assert re.search(r"Ready +True +Serving", text)
    assert f"next       ask it: triveni predict -n {serving.kubectl.namespace} mnist FILE" in text
    listed = triveni(serving, "status").splitlines()
    assert listed[1].split()[:3] == ["mnist", "True", "50"]

    labels = "zero,one,two,three,four,five,six,seven,eight,nine"
    predicted = triveni(serving, "predict", "--labels", labels, "mnist", *DIGITS[:2]).splitlines()
    assert [line.split()[:2] for line in predicted] == [
        ["INPUT", "CLASS"],
        *([digit.name, labels.split(",")[int(digit.stem[-1])]] for digit in DIGITS[:2]),
    ]

    measured = json.loads(triveni(serving, "bench", "mnist", "--requests", 5, "--rows", 2, "--json"))
    assert (measured["requests"], measured["rows"], measured["protocol"]) == (5, 2, "ABY3")

    watched = json.loads(triveni(serving, "top", "mnist", "--once", "--json"))
    assert (watched["epoch"], watched["answered"], watched["left"]) == (1, 12, 38)
    assert set(watched["latency_ms"]) == {"p50", "p90", "p99"}
    assert [worker["state"] for worker in watched["workers"]] == ["Serving"] * 3


def test_logs_are_those_of_workers_sharing_job_and_operator(serving: Models) -> None:
    lines = triveni(serving, "logs", "mnist").splitlines()
    sources = {match[0] for line in lines if (match := re.match(r"e1 (worker \d|sharing)", line))}
    assert sources == {"e1 sharing", *(f"e1 worker {party}" for party in range(3))}
    told = triveni(
        serving, "logs", "mnist", "--of", "operator", "--operator-namespace", NAMESPACE, "--json"
    ).splitlines()
    assert told
    assert all(json.loads(line)["source"] == "operator" for line in told)


def test_a_model_that_reached_its_quota_is_shown_with_receipts_and_what_to_do(models: Models) -> None:
    models.apply(mnist(requestQuota=2))
    models.until_ready()
    models.predict(images=DIGITS[:2])
    models.until("QuotaReached")
    models.until_gone()
    text = triveni(models, "status", "mnist")
    assert len(re.findall(r"  erased     worker \d of epoch 1: [\d,]+ bytes at ", text)) == 3
    assert '\'{"spec": {"requestQuota": 4}}\'' in text
    assert "request quota reached" in triveni(models, "top", "mnist", "--once", code=4)
    assert "there are no logs of SecureModel mnist" in triveni(models, "logs", "mnist", code=2)


def test_a_written_manifest_is_taken_by_the_cluster(models: Models, tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"
    line = [sys.executable, "-m", "triveni.cli", "manifest", str(MODEL), "--name", "digits", "--quota", "3", "-o", path]
    subprocess.run(line, check=True, timeout=SECONDS)
    assert len(list(yaml.safe_load_all(path.read_text()))) == 2
    models.kubectl("apply", "--filename", path)
    assert models.until_ready("digits")["quota"]["remaining"] == 3


def test_nobody_may_look_without_the_right_to(models: Models) -> None:
    kubectl = models.kubectl
    kubectl("create", "serviceaccount", "nobody")
    token = kubectl("create", "token", "nobody").strip()
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = kubectl.kubeconfig.parent / "nobody"
    path.write_text(yaml.safe_dump(config))
    line = [sys.executable, "-m", "triveni.cli", "status", f"--kubeconfig={path}", "-n", kubectl.namespace, "mnist"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False)
    finally:
        path.unlink()
    assert done.returncode == 1
    assert "ask for a Role there with: get and list securemodels" in done.stderr


def test_kubectl_runs_it_as_a_plugin_and_completes_it(serving: Models) -> None:
    kubectl = binaries.kubectl()
    environment = {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(serving.kubectl.kubeconfig.parent)}
    environment["KUBECONFIG"] = str(serving.kubectl.kubeconfig)

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(kubectl), *words], capture_output=True, text=True, timeout=SECONDS, env=environment, check=True
        )
        return done.stdout

    shown = eventually(
        lambda: run("triveni", "status", "-n", serving.kubectl.namespace, "mnist"), 30, "the plugin is found"
    )
    assert "mnist in namespace" in shown
    assert "status" in run("__complete", "triveni", "st")
