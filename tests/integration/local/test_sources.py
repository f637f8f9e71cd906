"""`triveni run` with models from elsewhere than the manifest: a store that breaks off, two files, an HDF5 file."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from tests.integration.local.conftest import MANIFEST, Run
from tests.integration.sharing.store import KEY_ID, REGION, SECRET, breaking_in_thread, running

StartRun = Callable[..., Run]

MODEL = MANIFEST.parent / "mnist" / "model.keras"

DIGITS = sorted((MANIFEST.parent / "mnist" / "digits").glob("*.png"))[:2]


def manifest(folder: Path, source: str, digest: str = "") -> Path:
    path = folder / "m.yaml"
    path.write_text(
        "apiVersion: triveni.dev/v1alpha1\nkind: SecureModel\nmetadata: {name: m}\n"
        f"spec: {{requestQuota: 9, model: {{source: {source}{digest}}}}}\n"
    )
    return path


@pytest.mark.timeout(1800)  # the store is built when it is needed for the first time
def test_a_model_is_fetched_from_a_store_whose_connection_breaks(
    triveni_run: StartRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    content = MODEL.read_bytes()
    digest = f", digest: 'sha256:{hashlib.sha256(content).hexdigest()}'"
    go_on = threading.Event()
    with running(tmp_path / "store") as store, breaking_in_thread(store, [20_000], go_on) as endpoint:
        store.put("mnist.keras", content)
        fields = f"endpoint: '{endpoint}', bucket: models, key: mnist.keras, region: {REGION}"
        path = manifest(tmp_path, f"{{s3: {{{fields}, credentialsSecret: {{name: store}}}}}}", digest)
        run = triveni_run(path, "--predict", *DIGITS)
        run.read_to("^  start three workers ")  # a fetch that ends before that is no step of its own
        go_on.set()
        assert run.end() == 0
    text = "\n".join(run.lines)
    assert run.served == [1, 2]
    assert re.search(r"^  the connection broke \(.*\) after 0\.0 MB; trying again$", text, re.MULTILINE)
    assert re.search(r"^  fetch the model +\d+\.\d s$", text, re.MULTILINE)
    assert "Plain Keras is not compared: the model is not a .keras file on this machine" in text
    assert SECRET not in text
    assert run.left() == []


def test_layers_and_weights_in_two_files_are_served_in_the_place_of_a_volume(
    triveni_run: StartRun, tmp_path: Path
) -> None:
    with zipfile.ZipFile(MODEL) as archive:
        (tmp_path / "model.json").write_bytes(archive.read("config.json"))
        (tmp_path / "model.weights.h5").write_bytes(archive.read("model.weights.h5"))
    path = manifest(tmp_path, "{persistentVolumeClaim: {claimName: models, path: mnist.keras}}")
    files = ("--model", tmp_path / "model.json", "--weights", tmp_path / "model.weights.h5")
    run = triveni_run(path, *files, "--predict", *DIGITS)
    assert run.end() == 0
    assert run.served == [1, 2]
    assert run.left() == []


def test_an_hdf5_file_without_layers_is_refused_with_the_way_out(triveni_run: StartRun, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.create_group("layers")
    run = triveni_run(manifest(tmp_path, "{file: {path: model.h5}}"), "--keep-serving")
    assert run.end() == 1
    assert "it is an HDF5 file with weights, without the layers. Give the layers as well: --model" in run.lines[-1]
    assert run.left() == []
