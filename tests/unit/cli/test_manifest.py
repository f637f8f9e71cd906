"""`triveni manifest` writes what `triveni run` and the API server take, or says which source is the right one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.cli.cli import same_as_golden, triveni
from triveni.api.manifest import check_digest, read_manifest
from triveni.cli import manifest

MODEL = Path(__file__).parents[3] / "examples" / "mnist" / "model.keras"


def test_a_manifest_carries_the_model_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    told = triveni("manifest", MODEL, "--name", "digits", "--quota", "7", "-n", "demo", "-o", path)
    assert (told.code, told.out) == (0, "")
    assert told.err == f"wrote {path}; next: triveni run {path}, or kubectl apply -f {path}\n"
    read = read_manifest(path)
    model = read.secure_model
    assert (model.metadata.name, model.metadata.namespace, model.spec.request_quota) == ("digits", "demo", 7)
    assert read.model == MODEL.read_bytes()
    check_digest(MODEL.read_bytes(), model.spec.model.digest)


def test_how_many_bits_of_answers_clients_get_is_written_if_it_is_said() -> None:
    head, *_ = yaml.safe_load_all(triveni("manifest", MODEL, "--answer-bits", "8").out)
    assert head["spec"]["answer"] == {"fractionalBits": 8}
    head, *_ = yaml.safe_load_all(triveni("manifest", MODEL).out)
    assert "answer" not in head["spec"]


def test_what_inputs_are_within_is_written_into_it(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    assert triveni("manifest", MODEL, "--input-range", "0,1", "-o", path).code == 0
    inputs = read_manifest(path).secure_model.spec.model.input_range
    assert inputs is not None
    assert (inputs.min, inputs.max) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("0,2000", 2, "--input-range: 2000.0 is too large; give at most 1024"),
        ("-1000,1000", 3, "refused (ValuesDoNotFit)"),
    ],
)
def test_a_range_that_cannot_be_served_is_refused(text: str, code: int, said: str) -> None:
    told = triveni("manifest", MODEL, "--input-range", text)
    assert told.code == code
    assert said in told.err


def test_its_text() -> None:
    told = triveni("manifest", MODEL)
    assert told.code == 0
    head, _, rest = told.out.partition("model.keras: |\n")
    same_as_golden("manifest.yaml", head)
    assert all(line.startswith("    ") for line in rest.splitlines())


def test_a_secret_may_carry_it(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    assert triveni("manifest", MODEL, "--secret", "-o", path).code == 0
    assert [document["kind"] for document in yaml.safe_load_all(path.read_text())] == ["SecureModel", "Secret"]
    assert read_manifest(path).model == MODEL.read_bytes()


def test_a_file_beside_it_is_named_from_where_the_manifest_is(tmp_path: Path) -> None:
    model = tmp_path / "models" / "net.keras"
    model.parent.mkdir()
    model.write_bytes(MODEL.read_bytes())
    path = tmp_path / "net.yaml"
    assert triveni("manifest", model, "--file", "-o", path).code == 0
    assert read_manifest(path).model == tmp_path / "models/net.keras"


@pytest.mark.parametrize(
    ("options", "source"),
    [
        (["--url", "https://models.example.com/m.keras"], {"http": {"url": "https://models.example.com/m.keras"}}),
        (["--claim", "data/a/m.keras"], {"persistentVolumeClaim": {"claimName": "data", "path": "a/m.keras"}}),
    ],
)
def test_a_model_elsewhere(options: list[str], source: dict[str, object]) -> None:
    (document,) = yaml.safe_load_all(triveni("manifest", MODEL, *options).out)
    assert document["spec"]["model"]["source"] == source
    assert document["spec"]["model"]["digest"].startswith("sha256:")


def test_a_model_that_is_too_large_is_told_where_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_INLINE", 1000)
    told = triveni("manifest", MODEL)
    assert (told.code, told.out) == (2, "")
    assert "0.1 MiB, and a ConfigMap or Secret holds 1 MiB; put it where the sharing job can fetch it" in told.err
    assert "--url https://HOST/PATH, or --claim CLAIM/PATH" in told.err
    assert triveni("manifest", MODEL, "--url", "https://a.example/m").code == 0


def test_a_large_one_has_to_be_applied_on_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(manifest, "MOST_APPLIED", 1000)
    told = triveni("manifest", MODEL, "-o", tmp_path / "m.yaml")
    assert "kubectl apply --server-side -f" in told.err
    assert (tmp_path / "m.yaml").read_text().startswith("# Larger than kubectl apply remembers")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--quota", "0"], "--quota: 0 is not a request quota; give a whole number of at least 1 or leave it out"),
        (["--name", "Digits"], "--name: 'Digits' is not a name for a SecureModel"),
        (["--answer-bits", "17"], "--answer-bits: 17 is not a number of places; give a whole number from 0 to 16"),
        (["--protocol", "GMW"], "--protocol: 'GMW' is not a protocol"),
        (["--url", "ftp://x"], "--url: 'ftp://x' is not an address that can be fetched"),
        (["--claim", "data"], "spec.model.source.persistentVolumeClaim.path: "),
        (["--url", "https://x", "--secret"], "--secret: not with --url; a model has one source"),
    ],
)
def test_options_that_cannot_be(options: list[str], said: str) -> None:
    told = triveni("manifest", MODEL, *options)
    assert (told.code, told.out) == (2, "")
    assert said in told.err


def test_a_model_that_would_be_refused_is_refused_now(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_text("weights")
    assert triveni("manifest", path).code == 3
    assert triveni("manifest", tmp_path / "none.keras").code == 2
    assert "is a manifest already" in triveni("manifest", "m.yaml").err


@pytest.mark.parametrize(
    ("stem", "name"), [("My Model", "my-model"), ("2024_net", "model-2024-net"), ("a.b", "a-b"), ("x" * 60, "x" * 50)]
)
def test_the_name_comes_from_the_files(stem: str, name: str) -> None:
    assert manifest._name(Path(f"{stem}.keras")) == name
