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
    assert (told[0], len(told[1].splitlines())) == (0, 4)


async def test_a_connection_file_is_enough_beside_the_workers(triveni: Triveni, images: Path, mounted: Path) -> None:
    code, stdout, _ = await triveni("predict", "--json", "--connection", mounted, images)
    assert code == 0
    assert np.allclose(answers(stdout), plain(ROWS))


async def test_a_quota_that_was_reached_before(triveni: Triveni, images: Path, kubeconfig: Path, api: FakeApi) -> None:
    api.secret, api.pods, api.model = None, [], QUOTA_REACHED
    code, _, stderr = await triveni("predict", "-n", NAMESPACE, "--kubeconfig", kubeconfig, NAME, images)
    assert code == 1
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
    assert (code, len(stdout.splitlines())) == (1, 1)
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
    assert code == 1
    assert "; there are no worker pods; see kubectl describe securemodel mnist -n team-a\n" in stderr


async def test_a_kubeconfig_that_is_not_there(triveni: Triveni, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "none"
    code, _, stderr = await triveni("predict", "--kubeconfig", path, NAME, images)
    said = f"triveni: kubeconfig {path}: there is no such file; give --kubeconfig, or set KUBECONFIG\n"
    assert (code, stderr) == (2, said)


async def test_images_without_a_model(triveni: Triveni, images: Path) -> None:
    code, _, stderr = await triveni("predict", images)
    assert code == 2
    said = "is not the name of a SecureModel; give that before the images, or --connection and a file"
    assert stderr == f"triveni: {images}: {said}\n"


async def test_a_model_without_images(triveni: Triveni) -> None:
    code, _, stderr = await triveni("predict", NAME)
    assert code == 2
    assert stderr == f"triveni: no images for SecureModel {NAME}; give PNG, npy or npz files after its name\n"


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
