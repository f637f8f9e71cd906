"""`triveni status`: what is told of SecureModels, and what to do next."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.unit.cli.cli import beside, same_as_golden
from tests.unit.client.cluster.fake_api import NAMESPACE, FakeApi, connection_document, fake_api
from tests.unit.client.three_workers import NAME, Workers, three_workers
from triveni.cli import status as status_
from triveni.cli.securemodels import next_steps, read
from triveni.cli.watching import Shown, show

SERVING: dict[str, Any] = {
    "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": "u"},
    "spec": {"protocol": "ABY3", "requestQuota": 200},
    "status": {
        "served": 25,
        "quota": {"charged": 24, "remaining": 176},
        "epoch": {"number": 8, "grant": 176, "phase": "Serving", "startedAt": "2026-01-01T00:00:00Z"},
        "clientSecret": "mnist-client",
        "conditions": [
            {"type": "Accepted", "status": "True", "reason": "Valid", "message": "the spec can be carried out"},
            {"type": "Ready", "status": "True", "reason": "Serving", "message": "epoch 8 answers requests"},
            {
                "type": "QuotaReached",
                "status": "False",
                "reason": "BelowQuota",
                "message": "24 of 200 requests charged",
            },
        ],
        "receipts": [{"epoch": 7, "party": 0, "bytesErased": 2021888, "erasedAt": "2026-01-01T00:00:00Z"}],
    },
}


def changed(kind: str, status: str, reason: str, message: str = "so it is", **spec: Any) -> dict[str, Any]:
    """The same with one condition of another kind, and fields of the spec changed."""
    model = copy.deepcopy(SERVING)
    model["spec"] |= spec
    given = [c for c in model["status"]["conditions"] if c["type"] != kind]
    model["status"]["conditions"] = [*given, {"type": kind, "status": status, "reason": reason, "message": message}]
    return model


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as server:
        server.model = SERVING
        yield server


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path / "config")


async def test_one_in_full(kubeconfig: Path) -> None:
    told = await beside("status", NAME, "--kubeconfig", kubeconfig)
    assert (told.code, told.err) == (0, "")
    same_as_golden("status.txt", told.out)


async def test_the_same_as_json(kubeconfig: Path) -> None:
    told = await beside("status", NAME, "--json", "--kubeconfig", kubeconfig)
    same_as_golden("status.json", json.dumps(json.loads(told.out), indent=1) + "\n")


async def test_a_line_for_each_of_a_namespace_and_of_all(kubeconfig: Path) -> None:
    told = await beside("status", "--kubeconfig", kubeconfig)
    assert [line.split() for line in told.out.splitlines()] == [
        ["NAME", "READY", "QUOTA", "SERVED", "EPOCH", "PROTOCOL", "REASON"],
        [NAME, "True", "200", "25", "8", "ABY3", "Serving"],
    ]
    told = await beside("status", "-A", "--kubeconfig", kubeconfig)
    assert [line.split()[:2] for line in told.out.splitlines()] == [["NAMESPACE", "NAME"], [NAMESPACE, NAME]]


async def test_there_may_be_none(api: FakeApi, kubeconfig: Path) -> None:
    api.model = None
    told = await beside("status", "--kubeconfig", kubeconfig)
    assert told.out == f"There are no SecureModels in namespace {NAMESPACE}.\n"
    told = await beside("status", NAME, "--kubeconfig", kubeconfig)
    assert told.code == 2
    assert told.err.startswith(f"triveni: there is no SecureModel {NAME} in namespace {NAMESPACE}; see triveni status")


async def test_what_rbac_forbids_and_what_to_ask_for(api: FakeApi, kubeconfig: Path) -> None:
    api.forbidden = {"get securemodels", "list securemodels everywhere"}
    told = await beside("status", NAME, "--kubeconfig", kubeconfig)
    assert told.code == 1
    assert told.err == (
        f"triveni: you may not get securemodels {NAME} in namespace {NAMESPACE}; "
        "ask for a Role there with: get and list securemodels\n"
    )
    told = await beside("status", "-A", "--kubeconfig", kubeconfig)
    assert told.err == "triveni: you may not list securemodels in all namespaces; name one with --namespace\n"


async def test_a_name_is_of_one_namespace(kubeconfig: Path) -> None:
    assert (await beside("status", NAME, "-A", "--kubeconfig", kubeconfig)).code == 2


async def test_an_api_server_that_is_not_there(api: FakeApi, tmp_path: Path) -> None:
    api.url = "http://127.0.0.1:1"
    kubeconfig = api.kubeconfig(tmp_path / "config")
    told = await beside("status", NAME, "--kubeconfig", kubeconfig)
    assert told.code == 5


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (SERVING, "ask it: triveni predict -n team-a mnist FILE"),
        ({"metadata": {"name": "m", "namespace": "n"}}, "no operator has looked at it yet"),
        (changed("Accepted", "False", "Invalid"), "mend the spec and apply it again"),
        (
            changed("QuotaReached", "True", "QuotaReached"),
            'kubectl -n team-a patch securemodel mnist --type merge -p \'{"spec": {"requestQuota": 400}}\'',
        ),
        (changed("Ready", "False", "Suspended", suspend=True), '{"spec": {"suspend": false}}'),
        (changed("Ready", "False", "Sharing"), "wait: triveni status --watch -n team-a mnist"),
        (changed("Ready", "False", "Unschedulable"), "kubectl -n team-a describe pods -l triveni.dev/model=mnist"),
        (changed("Ready", "False", "UnsupportedLayer"), "mend what the condition says; triveni logs -n team-a mnist"),
        (changed("PartiesIndependent", "False", "Together", "all on one node"), "not apart: all on one node"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:20],
)
def test_it_says_what_to_do_next(model: dict[str, Any], said: str) -> None:
    assert said in "\n".join(next_steps(read(model)))


async def test_workers_by_a_connection_file(tmp_path: Path) -> None:
    async with three_workers() as workers:
        path = connection_file(tmp_path, workers)
        told = await beside("status", "--connection", path)
        assert (told.code, told.err) == (0, "")
        assert told.out.splitlines()[2].split() == ["0", "Serving", "1", "100", "0", "0"]
        assert told.out.splitlines()[-1].split() == f"next ask it: triveni predict --connection {path} FILE".split()
        document = json.loads((await beside("status", "--json", "--connection", path)).out)
        assert [worker["state"] for worker in document["workers"]] == ["Serving"] * 3
    told = await beside("status", "--connection", path)
    assert (told.code, told.err) == (5, "triveni: no worker answers; is the model still served?\n")
    assert "connection refused" in told.out
    assert "nothing runs there" in told.out


def connection_file(folder: Path, workers: Workers) -> Path:
    path = folder / "connection.json"
    path.write_text(json.dumps(connection_document(workers) | {"workers": list(workers.connection.workers)}))
    return path


async def test_watching_prints_what_changed_and_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    states = iter([1, 1, 2, 2, 3])

    async def look() -> Shown:
        try:
            return Shown([], [{"n": next(states)}])
        except StopIteration:
            raise asyncio.CancelledError from None

    with pytest.raises(asyncio.CancelledError):
        await show(look, status_.screen(), as_json=True, every=0.001)
    assert capsys.readouterr().out.splitlines() == ['{"n": 1}', '{"n": 2}', '{"n": 3}']


async def test_without_a_terminal_there_are_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert Console(force_terminal=True).no_color
    assert status_.screen().color_system is None
