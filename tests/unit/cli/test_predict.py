"""`triveni predict`: a connection file, or a SecureModel in a cluster, in front of fake workers with real shares."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.unit.cli.cli import beside
from tests.unit.client.cluster.fake_api import NAMESPACE, QUOTA_REACHED, FakeApi, connection_document, fake_api
from tests.unit.client.three_workers import INPUT_SHAPE, NAME, Workers, plain, refuse, three_workers
from triveni.api.inference import Reason
from triveni.cli.app import app

ROWS = np.arange(12.0).reshape(2, *INPUT_SHAPE)

Triveni = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def triveni() -> Triveni:
    """Run the command line beside this event loop: exit code, standard output and error."""

    async def run(*arguments: object) -> tuple[int, str, str]:
        result = await asyncio.to_thread(CliRunner().invoke, app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with three_workers() as three:
        yield three


@pytest.fixture
async def api(workers: Workers) -> AsyncIterator[FakeApi]:
    async with fake_api() as server:
        server.serve(workers)
        yield server


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    np.save(path, ROWS)
    return path


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path / "config", namespace="another")


@pytest.fixture
def mounted(workers: Workers, tmp_path: Path) -> Path:
    """The Secret's file as a pod sees it, but that these workers are on loopback."""
    path = tmp_path / "connection.json"
    path.write_text(json.dumps(connection_document(workers) | {"workers": list(workers.connection.workers)}))
    return path


def answers(stdout: str) -> list[list[float]]:
    return [json.loads(line)["answer"] for line in stdout.splitlines()]


async def test_a_model_in_a_cluster_is_asked_by_its_name(triveni: Triveni, images: Path, kubeconfig: Path) -> None:
    told = await triveni("predict", "--json", "--namespace", NAMESPACE, "--kubeconfig", kubeconfig, NAME, images)
    assert (told[0], told[2]) == (0, "")
    assert np.allclose(answers(told[1]), plain(ROWS))


async def test_the_images_may_come_before_the_options(triveni: Triveni, images: Path, kubeconfig: Path) -> None:
    told = await triveni("predict", NAME, images, images, "-n", NAMESPACE, "--kubeconfig", kubeconfig)
    assert (told[0], len(told[1].splitlines())) == (0, 5)


async def test_a_connection_file_is_enough_beside_the_workers(triveni: Triveni, images: Path, mounted: Path) -> None:
    code, stdout, _ = await triveni("predict", "--json", "--connection", mounted, images)
    assert code == 0
    assert np.allclose(answers(stdout), plain(ROWS))


async def test_a_quota_that_was_reached_before(triveni: Triveni, images: Path, kubeconfig: Path, api: FakeApi) -> None:
    api.secret, api.pods, api.model = None, [], QUOTA_REACHED
    code, _, stderr = await triveni("predict", "-n", NAMESPACE, "--kubeconfig", kubeconfig, NAME, images)
    assert code == 4
    assert stderr == (
        "triveni: request quota reached: 3 requests answered, 3 charged, none left; "
        f"its owner can raise spec.requestQuota of SecureModel {NAME}\n"
    )


async def test_a_quota_that_is_reached_meanwhile(
    triveni: Triveni, images: Path, kubeconfig: Path, workers: Workers
) -> None:
    for worker in workers.parties:
        reached = refuse(Reason.QUOTA_REACHED, "request quota reached")
        worker.misdeeds.extend([lambda *_: asyncio.sleep(0), reached])
    code, stdout, stderr = await triveni("predict", "-n", NAMESPACE, "--kubeconfig", kubeconfig, NAME, images)
    assert (code, len(stdout.splitlines())) == (4, 2)
    assert stderr == "triveni: request quota reached (1 of 2 predicted)\n"


async def test_what_rbac_forbids_is_told_in_a_line(
    triveni: Triveni, images: Path, kubeconfig: Path, api: FakeApi
) -> None:
    api.forbidden = {"list pods"}
    code, _, stderr = await triveni("predict", "-n", NAMESPACE, "--kubeconfig", kubeconfig, NAME, images)
    assert (code, stderr.count("\n")) == (1, 1)
    assert stderr.startswith(f"triveni: you may not list pods in namespace {NAMESPACE}; ask for a Role there with: ")


async def test_workers_that_do_not_come_are_explained(
    triveni: Triveni, images: Path, kubeconfig: Path, api: FakeApi
) -> None:
    api.pods = []
    arguments = ["-n", NAMESPACE, "--kubeconfig", kubeconfig, "--timeout", "0.2", NAME, images]
    code, _, stderr = await triveni("predict", *arguments)
    assert code == 5
    assert "; there are no worker pods; see kubectl describe securemodel mnist -n team-a\n" in stderr


async def test_a_kubeconfig_that_is_not_there(triveni: Triveni, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "none"
    code, _, stderr = await triveni("predict", "--kubeconfig", path, NAME, images)
    said = f"triveni: kubeconfig {path}: there is no such file; give --kubeconfig, or set KUBECONFIG\n"
    assert (code, stderr) == (2, said)


async def test_images_without_a_model(triveni: Triveni, images: Path) -> None:
    code, _, stderr = await triveni("predict", images)
    assert code == 2
    said = "is not the name of a SecureModel; give one first, or --connection and a file"
    assert stderr == f"triveni: {images}: {said}\n"


async def test_a_model_without_images(triveni: Triveni) -> None:
    code, _, stderr = await triveni("predict", NAME)
    assert code == 2
    said = "give PNG, npy, npz, csv or JSON files after its name, or - for stdin"
    assert stderr == f"triveni: no inputs for SecureModel {NAME}; {said}\n"


@pytest.mark.parametrize("option", ["--namespace", "--context", "--kubeconfig"])
async def test_a_connection_file_is_not_in_a_cluster(
    triveni: Triveni, images: Path, mounted: Path, option: str
) -> None:
    code, _, stderr = await triveni("predict", "--connection", mounted, option, "x", images)
    assert code == 2
    assert stderr.startswith(f"triveni: {option}: not with --connection")


def test_whoever_needs_no_cluster_does_not_wait_for_its_client() -> None:
    """Which takes a second to import."""
    script = "import sys, triveni.cli.app, triveni.cli.predict; sys.exit('kubernetes' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


async def test_the_table(triveni: Triveni, images: Path, mounted: Path) -> None:
    code, stdout, _ = await triveni("predict", "--connection", mounted, "--labels", "a,b,c,d", images)
    assert code == 0
    lines = stdout.splitlines()
    assert lines[0].split() == ["INPUT", "CLASS", "TIME", "ANSWER"]
    assert lines[1].split()[:2] == ["images.npy[0]", "d"]
    assert lines[1].endswith(f"[{' '.join(f'{value:.3f}' for value in plain(ROWS)[0])}]")
    assert len({line.index("[") for line in lines[1:]}) == 1


async def test_json_has_its_keys_and_names(triveni: Triveni, images: Path, mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    _, stdout, _ = await triveni(
        "predict", "--json", "--connection", mounted, "--labels", tmp_path / "names.txt", images
    )
    first = json.loads(stdout.splitlines()[0])
    assert list(first) == ["index", "input", "class", "label", "expected", "answer", "seconds"]
    assert (first["index"], first["input"], first["class"], first["label"]) == (0, "images.npy[0]", 3, "d")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("a,b", "--labels: 2 names for 4 classes; give one for each, in their order"),
        ("nowhere", "--labels: there is no file nowhere; give a file with a name on each line, or a,b,c"),
    ],
)
async def test_names_that_do_not_fit_are_told_before_anything_is_asked(
    triveni: Triveni, images: Path, mounted: Path, workers: Workers, labels: str, said: str
) -> None:
    code, _, stderr = await triveni("predict", "--connection", mounted, "--labels", labels, images)
    assert (code, stderr) == (2, f"triveni: {said}\n")
    assert not workers.parties[0].seen


async def test_answers_go_into_a_file(triveni: Triveni, images: Path, mounted: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.npy"
    code, stdout, stderr = await triveni("predict", "--connection", mounted, "--output", path, images)
    assert (code, stdout) == (0, "")
    assert stderr == f"2 answers are in {path}, float64 of the shape (2, 4)\n"
    assert np.allclose(np.load(path), plain(ROWS))


async def test_answers_that_were_paid_for_are_kept(
    triveni: Triveni, images: Path, mounted: Path, tmp_path: Path, workers: Workers
) -> None:
    for worker in workers.parties:
        worker.misdeeds.extend([lambda *_: asyncio.sleep(0), refuse(Reason.QUOTA_REACHED, "request quota reached")])
    path = tmp_path / "answers.npy"
    code, _, _ = await triveni("predict", "--connection", mounted, "--output", path, images)
    assert (code, np.load(path).shape) == (4, (1, 4))


async def test_only_npy_is_written(triveni: Triveni, images: Path, mounted: Path) -> None:
    code, _, stderr = await triveni("predict", "--connection", mounted, "--output", "a.csv", images)
    assert (code, "does not end with .npy" in stderr) == (2, True)


async def test_rows_are_asked_for_together(triveni: Triveni, images: Path, mounted: Path, workers: Workers) -> None:
    code, stdout, _ = await triveni("predict", "--json", "--batch", 2, "--connection", mounted, images)
    assert (code, len(workers.parties[0].seen)) == (0, 1)
    assert np.allclose(answers(stdout), plain(ROWS))


async def test_standard_input(mounted: Path) -> None:
    text = json.dumps(ROWS.tolist()).encode()
    told = await beside("predict", "--json", "--connection", mounted, "-", stdin=text)
    assert told.code == 0
    assert np.allclose(answers(told.out), plain(ROWS))
