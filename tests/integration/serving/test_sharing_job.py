"""Models that cannot be shared: the job says why, and the workers wait for a right one as if nothing had been."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import MODEL, Cluster, SharingJob
from tests.unit.sharing.keras_files import dense, flatten, hdf5, input_layer, keras_file, layer, sequential
from triveni.client import Client

DIGEST = hashlib.sha256(MODEL.read_bytes()).hexdigest()


def small(kernel: NDArray[np.floating], *more: dict[str, object]) -> bytes:
    """A Keras file of one Dense layer with this kernel of 2 x 2, and what follows it."""
    layers = sequential(input_layer(2), dense("logits", 2, use_bias=False), *more)
    return keras_file(layers, hdf5({"dense": ("logits", [kernel])}))


KERNEL = np.ones((2, 2), np.float32)

FILES: Mapping[str, bytes] = {
    "text.keras": b"weights: 1, 2, 3",
    "truncated.keras": MODEL.read_bytes()[:100_000],
    "empty.keras": b"",
    "lstm.keras": keras_file(sequential(input_layer(4, 2), layer("LSTM", "memory", units=3), flatten()), hdf5({})),
    "nan.keras": small(np.array([[1, 2], [np.nan, 3]], np.float32)),
    "large.keras": small(np.array([[1, 2], [3, 1025]], np.float32)),
    "right.keras": small(KERNEL),
}

WRONG: Mapping[str, tuple[str, tuple[str, ...], str, str]] = {
    "no file": ("missing.keras", (), "SourceNotFound", r".*missing\.keras: does not exist"),
    "not a Keras file": (
        "text.keras",
        (),
        "NotAKerasFile",
        (
            r".*text\.keras is not a Keras model file: it is no zip archive and no HDF5 file\. "
            r"Write one with model\.save\('model\.keras'\)"
        ),
    ),
    "a truncated file": (
        "truncated.keras",
        (),
        "TruncatedFile",
        r".*truncated\.keras is incomplete: File is not a zip file\. Copy the file again",
    ),
    "an empty file": (
        "empty.keras",
        (),
        "TruncatedFile",
        r".*empty\.keras is incomplete: it is empty\. Copy the file again",
    ),
    "an unsupported layer": ("lstm.keras", (), "UnsupportedLayer", r"layer 'memory': .*LSTM.*; .+"),
    "weights that are no numbers": ("nan.keras", (), "ValueOutOfRange", r"weight logits/kernel.* NaN.*"),
    "weights that are too large": (
        "large.keras",
        (),
        "ValueOutOfRange",
        r"weight logits/kernel\[1, 1\] is too large: at most ±1024 can be carried, scale the model down",
    ),
    "another file than the one that is named": (
        "right.keras",
        ("--digest", f"sha256:{DIGEST}"),
        "DigestMismatch",
        rf".*right\.keras has the digest sha256:[0-9a-f]{{64}}, but sha256:{DIGEST} is expected",
    ),
    "another protocol than the workers'": (
        "right.keras",
        ("--protocol", "SecureNN"),
        "WorkerRefused",
        (
            r"worker \d refused \(422 Unsupported\): "
            r"protocol: this worker was started for ABY3; share the model for that"
        ),
    ),
}


@dataclass(frozen=True)
class Course:
    """Jobs that failed one after another, the states of the workers after each, and the answer after a right one."""

    jobs: Mapping[str, SharingJob]
    states: Mapping[str, list[str]]
    answer: NDArray[np.float64]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, programs: Path, digits: NDArray[np.float32]) -> Course:
    directory = tmp_path_factory.mktemp("sharing")
    files = tmp_path_factory.mktemp("models")
    for name, content in FILES.items():
        (files / name).write_bytes(content)
    jobs: dict[str, SharingJob] = {}
    states: dict[str, list[str]] = {}
    with Cluster(directory, programs) as cluster:
        cluster.start()
        cluster.wait_for_state("WaitingForArchitecture")
        for what, (file, options, _, _) in WRONG.items():
            jobs[what] = cluster.start_sharing(*options, model=files / file)()
            states[what] = [cluster.status(party)["state"] for party in range(3)]
        cluster.share()
        with Client(cluster.connection()) as client:
            answer = client.predict(digits[0])
    return Course(jobs, states, answer)


@pytest.mark.parametrize("what", WRONG)
def test_a_model_that_cannot_be_shared_is_refused_with_a_reason_and_a_way_out(course: Course, what: str) -> None:
    _, _, reason, says = WRONG[what]
    job = course.jobs[what]
    assert job.code == 1
    assert job.report["reason"] == reason
    assert re.fullmatch(says, job.report["message"]), job.report["message"]
    assert f"{reason}: {job.report['message']}" in job.log
    assert "Traceback" not in job.log


@pytest.mark.parametrize("what", WRONG)
def test_the_workers_go_on_waiting_after_it(course: Course, what: str) -> None:
    assert course.states[what] == ["WaitingForArchitecture"] * 3


def test_a_right_model_is_shared_and_served_after_all_of_them(
    course: Course, keras_logits: NDArray[np.float32]
) -> None:
    assert np.abs(course.answer - keras_logits[0]).max() < 1e-3
