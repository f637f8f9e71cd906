"""`triveni logs`: of a SecureModel's pods, of the operator, of a run on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.unit.cli.cli import beside, triveni
from tests.unit.client.cluster.fake_api import NAMESPACE, FakeApi, fake_api, pod
from tests.unit.client.three_workers import NAME
from triveni.cli import logs
from triveni.cli.loglines import rendered
from triveni.cli.logs import Options, Out
from triveni.client.cluster import Target

SERVING = json.dumps({"time": "2026-01-01T12:00:01.500+00:00", "level": "info", "event": "state", "state": "Serving"})


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as server:
        server.pods = [pod(party, 2) for party in (1, 0)]
        server.pods.append(pod(0, 2))
        server.pods[2]["metadata"] = {
            "name": f"{NAME}-e2-sharing-x",
            "labels": {
                "triveni.dev/model": NAME,
                "triveni.dev/epoch": "2",
                "app.kubernetes.io/component": "sharing",
            },
        }
        server.logs = {f"{NAME}-e2-worker-{party}": [f"line {n} of {party}" for n in range(3)] for party in (0, 1)}
        server.logs[f"{NAME}-e2-sharing-x"] = [SERVING]
        yield server


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path / "config")


async def test_the_logs_of_all_pods_with_whose_they_are(kubeconfig: Path) -> None:
    told = await beside("logs", NAME, "--tail", 2, "--kubeconfig", kubeconfig)
    assert (told.code, told.err) == (0, "")
    assert sorted(told.out.splitlines()) == [
        "e2 sharing  12:00:01.500  state  state=Serving",
        *(f"e2 worker {party}  line {n} of {party}" for party in range(2) for n in (1, 2)),
    ]


async def test_only_of_some_and_as_json(kubeconfig: Path) -> None:
    told = await beside("logs", NAME, "--of", "sharing", "--json", "--kubeconfig", kubeconfig)
    assert json.loads(told.out) == {"source": "e2 sharing", "line": SERVING}


async def test_a_component_that_is_none(kubeconfig: Path) -> None:
    told = await beside("logs", NAME, "--of", "client", "--kubeconfig", kubeconfig)
    assert (told.code, "--of: client writes no log" in told.err) == (2, True)


async def test_of_the_operator_what_is_about_the_model(api: FakeApi, kubeconfig: Path) -> None:
    operator = pod(0)
    operator["metadata"] = {"name": "operator-x", "labels": {"app.kubernetes.io/component": "operator"}}
    api.pods.append(operator)
    about = [{"message": "epoch started", "namespace": NAMESPACE, "name": name} for name in (NAME, "another")]
    api.logs["operator-x"] = [*map(json.dumps, about), "no JSON"]
    where = ["--operator-namespace", NAMESPACE, "--kubeconfig", kubeconfig]
    told = await beside("logs", NAME, "--of", "operator", *where)
    assert told.out == "operator  epoch started\n"


async def test_no_operator_there(kubeconfig: Path) -> None:
    where = ["--operator-namespace", NAMESPACE, "--kubeconfig", kubeconfig]
    told = await beside("logs", NAME, "--of", "operator", *where)
    assert (told.code, "name the right one with --operator-namespace" in told.err) == (2, True)


async def test_no_pods_no_logs(api: FakeApi, kubeconfig: Path) -> None:
    api.pods = []
    told = await beside("logs", NAME, "--kubeconfig", kubeconfig)
    assert (told.code, "there are no logs of SecureModel" in told.err) == (2, True)


async def test_what_rbac_forbids(api: FakeApi, kubeconfig: Path) -> None:
    api.forbidden = {"get pods/log"}
    told = await beside("logs", NAME, "--kubeconfig", kubeconfig)
    assert told.code == 1
    assert told.err.endswith("ask for a Role there with: list pods, get pods/log\n")


async def test_followed_are_new_lines_and_the_pods_of_the_next_epoch(
    api: FakeApi, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "EVERY_S", 0.01)
    out = Out(logs.screen(), as_json=False)
    following = asyncio.create_task(
        logs._cluster(Target(NAME, kubeconfig=kubeconfig), Options(NAME, follow=True, of=("worker",)), out)
    )
    await until(lambda: out.lines == 6)
    api.logs[f"{NAME}-e2-worker-0"].append("one more")
    api.pods.append(pod(2, 3))  # waits to start: no log yet
    await until(lambda: out.lines == 7)
    api.logs[f"{NAME}-e3-worker-2"] = ["hello"]
    await until(lambda: out.lines == 8)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert capsys.readouterr().out.splitlines()[-2:] == ["e2 worker 0  one more", "e3 worker 2  hello"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The connection file of a run, with its directory."""
    directory = tmp_path / "run"
    for epoch, name in ((1, "worker-0"), (1, "sharing"), (2, "worker-0")):
        folder = directory / f"epoch-{epoch}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.log").write_text(f"{name} {epoch} a\n{name} {epoch} b\nhalf")
    path = tmp_path / "connection.json"
    path.write_text(json.dumps({"directory": str(directory)}))
    return path


def test_a_run_on_this_machine(run: Path) -> None:
    told = triveni("logs", "--connection", run, "--tail", 1)
    assert told.code == 0
    assert told.out.splitlines() == [
        "epoch 1 sharing  sharing 1 b",
        "epoch 1 worker 0  worker-0 1 b",
        "epoch 2 worker 0  worker-0 2 b",
    ]


def test_a_run_that_has_ended(run: Path, tmp_path: Path) -> None:
    run.write_text(json.dumps({"directory": str(tmp_path / "gone")}))
    assert "its run has ended, and its logs with it" in triveni("logs", "--connection", run).err


@pytest.mark.parametrize(("text", "said"), [("{}", "names no run on this machine"), ("x", "is no connection file")])
def test_a_connection_file_of_something_else(run: Path, text: str, said: str) -> None:
    run.write_text(text)
    told = triveni("logs", "--connection", run)
    assert (told.code, said in told.err) == (2, True)


def test_lines_for_people() -> None:
    loud = json.dumps({"time": "2026-01-01T12:00:01.500Z", "level": "error", "event": "lost", "peer": 1, "why": "a b"})
    assert rendered(loud).plain == '12:00:01.500  ERROR lost  peer=1 why="a b"'
    assert rendered("plain words").plain == "plain words"
    assert rendered("[1]").plain == "[1]"
