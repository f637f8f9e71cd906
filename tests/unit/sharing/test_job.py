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
from tests.unit.sharing.web_server import self_signed, serving, store
from tests.unit.sharing.worker_fronts import EPOCH, NAMESPACE, UID, Front, three_fronts
from triveni.api.inference import Reason, error_body
from triveni.identity.authority import Authority
from triveni.identity.names import Identity


@dataclass
class Job:
    """A directory with a model and credentials, and three workers."""

    directory: Path
    fronts: list[Front]

    async def start(self, *more: str, workers: int = 3, model: str | None = None) -> asyncio.subprocess.Process:
        addresses = [part for front in self.fronts[:workers] for part in ("--worker", str(front.address))]
        files = [
            f"--{name}={self.directory / path}" for name, path in FILES.items() if model is None or name != "model"
        ]
        files += [model] if model else []
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "triveni.sharing", *files, *addresses, "--timeout=20", *more),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *more: str, workers: int = 3, model: str | None = None) -> tuple[int | None, str, str]:
        """Exit code, output and errors; `model` is an option that stands in the place of --model."""
        process = await self.start(*more, workers=workers, model=model)
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


async def test_a_model_is_shared_for_answers_of_so_many_bits(job: Job) -> None:
    code, _, _ = await job.run("--answer-fractional-bits=8")
    assert code == 0
    assert [(front.architecture or {})["architecture"]["answer"] for front in job.fronts] == [
        {"fractional_bits": 8}
    ] * 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.keras", None, "SourceNotFound"),
        ("model.keras", b"hello", "NotAKerasFile"),
        ("model.keras", small_file()[:2000], "TruncatedFile"),
        ("model.keras", keras_file({"class_name": "Mine"}, b""), "UnsupportedLayer"),
        ("model.keras", keras_file(sequential(*small_layers()), hdf5({"dense": ("x", [])})), "ShapeMismatch"),
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


async def test_a_model_is_fetched_from_a_web_server(job: Job) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=small_file())

    certificate = self_signed(job.directory)
    async with serving(answer, certificate) as base:
        url = f"--model-url={base}/model.keras?signature=hush"
        code, out, err = await job.run(f"--ca-bundle={certificate}", model=url)
        assert (code, err, job.report()["reason"]) == (0, "", "Shared")
        code, _, err = await job.run(model=url)
    assert (code, job.report()["reason"], job.report()["permanent"]) == (1, "SourceRefused", True)
    assert job.report()["message"].startswith(f"{base}/model.keras: the server's certificate is not accepted")
    assert "hush" not in out + err + json.dumps(job.report())


async def test_a_model_in_two_files_is_shared(job: Job) -> None:
    (job.directory / "model.keras").write_text(json.dumps(sequential(*small_layers())))
    (job.directory / "model.weights.h5").write_bytes(hdf5(small_groups()))
    weights = f"--weights={job.directory / 'model.weights.h5'}"
    code, _, err = await job.run(weights)
    assert (code, err, job.report()["reason"]) == (0, "", "Shared")
    code, _, err = await job.run(weights, f"--digest=sha256:{'0' * 64}")
    assert code == 2
    assert "--weights goes with --model, and without --digest" in err


async def test_a_model_is_fetched_from_a_store(job: Job) -> None:
    (job.directory / "keys").mkdir()
    (job.directory / "keys" / "accessKeyId").write_text("AKIAEXAMPLE")
    (job.directory / "keys" / "secretAccessKey").write_text("hush")
    more = ("--s3-bucket=models", "--s3-region=here", f"--s3-credentials={job.directory / 'keys'}")
    async with serving(store({"/models/a%20b.keras": small_file()}, "AKIAEXAMPLE", "hush")) as base:
        endpoint = f"--s3-endpoint={base}/"
        code, out, err = await job.run(*more, "--s3-key=a b.keras", model=endpoint)
        assert (code, err, job.report()["reason"]) == (0, "", "Shared")
        code, _, err = await job.run(*more, "--s3-key=c.keras", model=endpoint)
    assert (code, job.report()["reason"]) == (1, "SourceNotFound")
    words = f"object 'c.keras' of bucket 'models' at {base}"
    assert job.report()["message"] == f"{words}: the server answers 404 NoSuchKey"
    assert "hush" not in out + err + json.dumps(job.report())


async def test_a_failure_names_the_model_in_the_words_that_it_is_given(job: Job) -> None:
    (job.directory / "model.keras").unlink()
    await job.run("--model-source=key 'model.keras' of ConfigMap 'mnist'")
    assert job.report()["message"] == "key 'model.keras' of ConfigMap 'mnist': does not exist"
    (job.directory / "model.keras").write_bytes(b"hello")
    await job.run("--model-source=key 'model.keras' of ConfigMap 'mnist'")
    assert job.report()["message"].startswith("key 'model.keras' of ConfigMap 'mnist' is not a Keras model file")


async def test_a_signal_ends_a_download_with_a_report(job: Job) -> None:
    asked = asyncio.Event()

    async def say_nothing(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(say_nothing) as base:
        process = await job.start(model=f"--model-url={base}")
        async with asyncio.timeout(20):
            await asked.wait()
            process.send_signal(signal.SIGTERM)
            _, err = await process.communicate()
    assert (process.returncode, job.report()["reason"], job.report()["permanent"]) == (1, "Interrupted", False)
    assert b"Traceback" not in err


async def test_what_a_worker_says_only_of_this_epoch_is_not_permanent(job: Job) -> None:
    async def ended(request: web.Request) -> web.Response:
        return web.Response(status=503, body=error_body(Reason.EPOCH_ENDED, "over"))

    job.fronts[1].answer["architecture"] = ended
    await job.run()
    report = job.report()
    assert (report["reason"], report["worker_reason"], report["permanent"]) == ("WorkerRefused", "EpochEnded", False)


async def test_the_workers_are_told_what_inputs_are_within_and_the_log_that_all_values_fit(job: Job) -> None:
    code, out, _ = await job.run("--input-range=-1,0.5")
    assert code == 0
    assert "all fit for inputs from -1 to 0.5: at most 2^" in out
    assert [(front.architecture or {})["input_range"] for front in job.fronts] == [{"min": -1.0, "max": 0.5}] * 3


async def test_without_a_range_of_inputs_the_log_says_that_nothing_is_known(job: Job) -> None:
    code, out, _ = await job.run()
    assert code == 0
    assert "nothing is known about whether all values fit" in out
    assert not any("input_range" in (front.architecture or {}) for front in job.fronts)


async def test_a_model_whose_values_may_not_fit_is_not_shared(job: Job) -> None:
    groups = small_groups()
    groups["dense"] = ("logits", [np.full((3, 4), 1000.0, np.float32), array(4)])
    (job.directory / "model.keras").write_bytes(small_file(groups=groups))
    code, _, err = await job.run("--input-range=-1000,1000")
    report = job.report()
    assert (code, report["reason"], report["permanent"]) == (1, "ValuesDoNotFit", True)
    assert "layer 'logits': with inputs from -1000 to 1000, a product may be as large as 2^" in err
    assert not any(front.requests for front in job.fronts)


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


@pytest.mark.parametrize(
    "more",
    [
        ("--timeout=0",),
        ("--timeout=nan",),
        ("--worker=nowhere",),
        ("--input-range=1,0",),
        ("--model-url=https://127.0.0.1/",),
        ("--ca-bundle=ca.crt",),
        ("--s3-key=model.keras",),
    ],
)
async def test_wrong_arguments_are_explained(job: Job, more: tuple[str, ...]) -> None:
    code, _, err = await job.run(*more)
    assert code == 2
    assert more[0].split("=")[0] in err


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("--model-url=ftp://127.0.0.1/", "--model-url must begin with https:// or http://"),
        ("--s3-endpoint=127.0.0.1", "--s3-endpoint needs --s3-bucket"),
        ("--digest=sha256:0", "one of the arguments --model --model-url --s3-endpoint is required"),
    ],
)
async def test_a_place_of_the_model_that_is_none_is_explained(job: Job, model: str, told: str) -> None:
    code, _, err = await job.run(model=model)
    assert code == 2
    assert told in err


async def test_two_workers_are_not_enough(job: Job) -> None:
    code, _, err = await job.run(workers=2)
    assert code == 2
    assert "--worker is needed three times, got 2" in err
