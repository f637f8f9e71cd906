"""``python -m triveni.sharing``: progress, report and exit code."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from tests.unit.sharing.keras_files import array, hdf5, keras_file, sequential, small_file, small_groups, small_layers
from tests.unit.sharing.worker_fronts import EPOCH, NAMESPACE, UID, Front, three_fronts
from triveni.identity.authority import Authority
from triveni.identity.names import Identity


@dataclass
class Job:
    """A directory with a model and credentials, and three workers."""

    directory: Path
    fronts: list[Front]

    async def start(self, *more: str, workers: int = 3) -> asyncio.subprocess.Process:
        addresses = [part for front in self.fronts[:workers] for part in ("--worker", str(front.address))]
        files = [f"--{name}={self.directory / path}" for name, path in FILES.items()]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "triveni.sharing", *files, *addresses, "--timeout=20", *more),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *more: str, workers: int = 3) -> tuple[int | None, str, str]:
        process = await self.start(*more, workers=workers)
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    def report(self) -> dict[str, Any]:
        document = json.loads((self.directory / "report.json").read_text())
        assert isinstance(document, dict)
        return document


FILES = {"model": "model.keras", "credentials": "credentials", "report": "report.json"}


@pytest.fixture
async def job(tmp_path: Path) -> AsyncIterator[Job]:
    authority = Authority.create(NAMESPACE, UID)
    authority.issue(Identity.sharing_job(NAMESPACE, UID, EPOCH)).write(tmp_path / "credentials")
    (tmp_path / "model.keras").write_bytes(small_file())
    async with three_fronts(authority) as fronts:
        yield Job(tmp_path, fronts)


async def test_a_model_is_shared(job: Job) -> None:
    code, out, err = await job.run("--protocol=ABY3")
    assert (code, err) == (0, "")
    assert [json.loads(line)["step"] for line in out.splitlines()] == [
        "fetched",
        "read",
        "split",
        "architecture",
        "shares",
    ]
    assert job.report()["reason"] == "Shared"
    assert job.report()["program_digest"] == "ab" * 32
    assert all(front.tensors for front in job.fronts)
    assert sorted(path.name for path in job.directory.iterdir()) == sorted(FILES.values())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.keras", None, "SourceNotFound"),
        ("model.keras", b"hello", "NotAKerasFile"),
        ("model.keras", small_file()[:2000], "TruncatedFile"),
        ("model.keras", keras_file({"class_name": "Mine"}, b""), "UnsupportedLayer"),
        ("model.keras", keras_file(sequential(*small_layers()), hdf5({})), "ShapeMismatch"),
        ("credentials/tls.key", None, "CredentialsUnreadable"),
        ("credentials/tls.crt", b"hello", "CredentialsUnreadable"),
    ],
)
async def test_a_failure_is_reported_by_its_reason(job: Job, name: str, content: bytes | None, reason: str) -> None:
    path = job.directory / name
    path.unlink() if content is None else path.write_bytes(content)
    code, _, err = await job.run()
    assert code == 1
    assert job.report()["reason"] == reason
    assert err == f"{reason}: {job.report()['message']}\n"
    assert not any(front.requests for front in job.fronts)


async def test_another_file_than_the_manifest_names_is_not_shared(job: Job) -> None:
    code, _, _ = await job.run(f"--digest=sha256:{'0' * 64}")
    assert (code, job.report()["reason"]) == (1, "DigestMismatch")


async def test_a_weight_out_of_range_is_in_no_output(job: Job) -> None:
    groups = small_groups()
    groups["dense"] = ("logits", [np.full((3, 4), 87654.25, np.float32), array(4)])
    (job.directory / "model.keras").write_bytes(small_file(groups=groups))
    code, out, err = await job.run()
    assert (code, job.report()["reason"]) == (1, "ValueOutOfRange")
    assert "87654" not in out + err + json.dumps(job.report())


async def test_credentials_of_another_role_are_refused(job: Job) -> None:
    client = Identity.of_client(NAMESPACE, UID, "me")
    job.fronts[0].authority.issue(client).write(job.directory / "credentials")
    code, _, _ = await job.run()
    assert (code, job.report()["reason"]) == (1, "CredentialsUnreadable")


async def test_the_key_of_another_certificate_is_refused(job: Job) -> None:
    mine = job.fronts[0].authority.issue(Identity.sharing_job(NAMESPACE, UID, EPOCH))
    other = job.fronts[0].authority.issue(Identity.sharing_job(NAMESPACE, UID, EPOCH))
    replace(mine, key=other.key).write(job.directory / "credentials")
    code, _, _ = await job.run()
    assert (code, job.report()["reason"]) == (1, "CredentialsUnreadable")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_a_report_and_no_traceback(job: Job, number: signal.Signals) -> None:
    compiling = asyncio.Event()

    async def compile_forever(request: web.Request) -> web.Response:
        compiling.set()
        await asyncio.Event().wait()
        return web.Response()

    job.fronts[0].answer["architecture"] = compile_forever
    process = await job.start()
    async with asyncio.timeout(20):
        await compiling.wait()
        process.send_signal(number)
        _, err = await process.communicate()
    assert process.returncode == 1
    assert job.report()["reason"] == "Interrupted"
    assert b"Traceback" not in err


@pytest.mark.parametrize("more", [("--timeout=0",), ("--timeout=nan",), ("--worker=nowhere",)])
async def test_wrong_arguments_are_explained(job: Job, more: tuple[str, ...]) -> None:
    code, _, err = await job.run(*more)
    assert code == 2
    assert more[0].split("=")[0] in err


async def test_two_workers_are_not_enough(job: Job) -> None:
    code, _, err = await job.run(workers=2)
    assert code == 2
    assert "--worker is needed three times, got 2" in err
