"""The commands beside `run`, in front of real workers: what they tell fits together, and each ends as it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.integration.local.conftest import MANIFEST, SECONDS, Run

StartRun = Callable[..., Run]

DIGITS = MANIFEST.parent / "mnist" / "digits"


def triveni(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "triveni.cli", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, check=False)


def said(*arguments: object) -> str:
    done = triveni(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_running_model_is_asked_watched_and_measured(triveni_run: StartRun, tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    run = triveni_run(MANIFEST, "--quota", "20", "--keep-serving", "--connection", path)
    run.read_to("Serving after")

    digit = (DIGITS / "00-9.png").read_bytes()
    done = triveni("predict", "--connection", path, "--json", "--labels", "a,b,c,d,e,f,g,h,i,nine", "-", stdin=digit)
    assert json.loads(done.stdout)["label"] == "nine"
    said(
        "predict", "--connection", path, "--batch", 4, "--output", tmp_path / "o.npy", *sorted(DIGITS.glob("*.png"))[:5]
    )
    assert np.load(tmp_path / "o.npy").argmax(1).tolist() == [9, 8, 7, 4, 5]

    measured = json.loads(said("bench", "--connection", path, "--requests", 4, "--concurrency", 2, "--json"))
    assert measured["requests"] == 4
    watched = json.loads(said("top", "--connection", path, "--once", "--json"))
    assert (watched["answered"], watched["left"]) == (10, 10)
    assert "ask it: triveni predict" in said("status", "--connection", path)
    logs = said("logs", "--connection", path).splitlines()
    assert {line.split("  ")[0] for line in logs} == {
        f"epoch 1 {name}" for name in ("worker 0", "worker 1", "worker 2")
    }
    costs = json.loads(said("check", MANIFEST, "--rtt", "measure", "--connection", path, "--json"))
    assert [network["name"] for network in costs["networks"]] == ["LAN", "WAN", "yours"]

    done = triveni("bench", "--connection", path, "--requests", 50)
    assert (done.returncode, b"(10 of 50 requests answered)" in done.stderr) == (4, True)
    assert run.end() == 0
    assert triveni("status", "--connection", path).returncode == 2


def test_a_run_in_json(triveni_run: StartRun) -> None:
    run = triveni_run(MANIFEST, "--json")
    assert run.end() == 0
    events = [json.loads(line) for line in run.lines]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "epoch_began"
    assert kinds[-1] == "summary"
    assert (kinds.count("served"), kinds.count("prediction")) == (3, 3)
    assert events[-1] | {"seconds": 0} == {
        "event": "summary",
        "served": 3,
        "charged": 3,
        "quota": 3,
        "quota_reached": True,
        "seconds": 0,
    }


def test_a_run_whose_output_nobody_reads_ends_in_order(triveni_run: StartRun) -> None:
    run = triveni_run(MANIFEST, "--quota", "1000000", "--json")
    run.read_to('"prediction"')
    assert run.close_output() == 141
    assert run.left() == []


def test_ctrl_c_ends_what_watches(triveni_run: StartRun, tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    run = triveni_run(MANIFEST, "--keep-serving", "--connection", path)
    run.read_to("Serving after")
    for command in (["top"], ["status", "--watch"], ["logs", "--follow", "--of", "worker"]):
        line = [sys.executable, "-m", "triveni.cli", *command, "--connection", str(path)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                assert process.stderr
                assert process.stdout.readline()
                os.kill(process.pid, signal.SIGINT)
                assert process.wait(SECONDS) == 130
                assert process.stderr.read() == "triveni: interrupted\n"
            finally:
                process.kill()  # the end of the block waits for it, however long
