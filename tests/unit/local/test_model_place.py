"""What the sharing process of a local run is told about the model: as in a cluster, with this machine's files."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from triveni.api.manifest import DigestMismatch, InvalidManifest, TwoFiles, read_manifest
from triveni.local.directory import RunDirectory
from triveni.local.model_place import ModelPlace, Unusable, place_model
from triveni.sharing.arguments import FilePlace, PairPlace, S3Place, UrlPlace, parse

DIGEST = "sha256:" + "0" * 64

STORE = {
    "endpoint": "https://minio.storage.svc:9000",
    "bucket": "models",
    "key": "etc/triveni-source/m.keras",
    "region": "eu-1",
    "credentialsSecret": {"name": "store"},
}

KEYS = {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "hush"}

AWS = {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "hush2"}

AUTHORITIES = {"kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": "PEM"}}


def secret(**section: Any) -> dict[str, Any]:
    return {"kind": "Secret", "metadata": {"name": "store"}, **section}


def encoded(values: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


@pytest.fixture
def folder(tmp_path: Path) -> RunDirectory:
    (tmp_path / "run").mkdir()
    return RunDirectory(tmp_path / "run")


def write(folder: RunDirectory, source: dict[str, Any], *others: dict[str, Any], digest: str | None = None) -> Path:
    model = {"source": source, **({"digest": digest} if digest else {})}
    document = {
        "apiVersion": "triveni.dev/v1alpha1",
        "kind": "SecureModel",
        "metadata": {"name": "m"},
        "spec": {"model": model},
    }
    path = folder.path.parent / "m.yaml"
    path.write_text(yaml.safe_dump_all([document, *others]))
    return path


def parsed(place: ModelPlace) -> Any:
    rest = ["--worker=a:1", "--worker=b:2", "--worker=c:3", "--credentials=x", "--report=y"]
    return parse([*place.arguments, *rest])


def read(path: Path) -> bytes:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_bytes()


def test_a_model_in_the_manifest_is_written_for_the_run(folder: RunDirectory) -> None:
    carrier = {"kind": "ConfigMap", "metadata": {"name": "c"}, "binaryData": encoded({"k": "PK\x03\x04"})}
    path = write(folder, {"configMap": {"name": "c", "key": "k"}}, carrier)
    place = place_model(read_manifest(path), folder, {})
    assert parsed(place).place == FilePlace(folder.model)
    assert (read(folder.model), place.plain, place.fetched) == (b"PK\x03\x04", folder.model, False)
    wrong = write(folder, {"configMap": {"name": "c", "key": "k"}}, carrier, digest=DIGEST)
    with pytest.raises(DigestMismatch):
        place_model(read_manifest(wrong), folder, {})


def test_keras_is_given_no_file_that_may_hold_code(folder: RunDirectory) -> None:
    """Loading an HDF5 file may run what stands in it."""
    (folder.path.parent / "m.keras").write_bytes(b"\x89HDF\r\n\x1a\n")
    place = place_model(read_manifest(write(folder, {"file": {"path": "m.keras"}})), folder, {})
    assert parsed(place).place == FilePlace(folder.path.parent / "m.keras")
    assert place.plain is None


def test_a_model_on_a_web_server_is_fetched_as_in_a_cluster(folder: RunDirectory) -> None:
    url = "https://models.example/m.keras?signature=1"
    source = {"http": {"url": url, "caBundle": {"name": "ca", "key": "ca.crt"}}}
    manifest = read_manifest(write(folder, source, AUTHORITIES))
    assert manifest.ignored == ()
    place = place_model(manifest, folder, {})
    got = parsed(place)
    assert isinstance(got.place, UrlPlace)
    assert (got.place.url, got.words) == (url, "spec.model.source.http: https://models.example/m.keras")
    assert got.place.authorities is not None
    assert read(got.place.authorities) == b"PEM"
    assert (place.fetched, place.plain) == (True, None)


def test_the_public_authorities_need_no_object(folder: RunDirectory) -> None:
    place = place_model(read_manifest(write(folder, {"http": {"url": "https://models.example/m"}})), folder, {})
    assert parsed(place).place.authorities is None


@pytest.mark.parametrize(
    "given",
    [
        secret(data=encoded(KEYS)),
        secret(stringData=KEYS),
        secret(data=encoded({**KEYS, "secretAccessKey": "old"}), stringData={"secretAccessKey": "hush"}),
    ],
)
def test_the_keys_for_a_store_are_those_of_the_secret_in_the_manifest(
    folder: RunDirectory, given: dict[str, Any]
) -> None:
    source = {"s3": {**STORE, "caBundle": {"name": "ca", "key": "ca.crt"}}}
    manifest = read_manifest(write(folder, source, AUTHORITIES, given))
    assert manifest.ignored == ()
    assert "hush" not in repr(manifest)
    got = parsed(place_model(manifest, folder, AWS)).place
    assert isinstance(got, S3Place)
    assert (got.endpoint, got.bucket, got.key, got.region) == (STORE["endpoint"], "models", STORE["key"], "eu-1")
    assert got.authorities is not None
    assert read(got.authorities) == b"PEM"
    assert {file.name: read(file).decode() for file in got.credentials.iterdir()} == KEYS


def test_the_keys_of_the_environment_are_used_if_the_manifest_holds_none(folder: RunDirectory) -> None:
    manifest = read_manifest(write(folder, {"s3": STORE}))
    place = place_model(manifest, folder, {**AWS, "AWS_SESSION_TOKEN": "t"})
    credentials = parsed(place).place.credentials
    names = {"accessKeyId": "AKIAOTHER", "secretAccessKey": "hush2", "sessionToken": "t"}
    assert {file.name: read(file).decode() for file in credentials.iterdir()} == names
    assert "hush2" not in repr(place)


@pytest.mark.parametrize("environment", [{}, {"AWS_ACCESS_KEY_ID": "A"}, {**AWS, "AWS_SECRET_ACCESS_KEY": ""}])
def test_without_keys_it_is_said_where_they_may_be(folder: RunDirectory, environment: dict[str, str]) -> None:
    manifest = read_manifest(write(folder, {"s3": STORE}))
    told = r"credentialsSecret: the manifest holds no Secret 'store', and AWS_.*; put the Secret into .*--model FILE$"
    with pytest.raises(Unusable, match=told):
        place_model(manifest, folder, environment)


def test_authorities_that_are_not_in_the_file_are_asked_for(folder: RunDirectory) -> None:
    source = {"http": {"url": "https://models.example/m", "caBundle": {"name": "ca", "key": "ca.crt"}}}
    told = r"http\.caBundle\.name: the file holds no ConfigMap; put the ConfigMap 'ca' into the same file"
    with pytest.raises(InvalidManifest, match=told):
        read_manifest(write(folder, source))
    with pytest.raises(InvalidManifest, match=r"ConfigMap 'ca' holds no 'ca\.crt' in data, only x"):
        read_manifest(write(folder, source, {**AUTHORITIES, "data": {"x": "y"}}))


def test_a_volume_is_refused_and_a_file_in_its_place_is_not(folder: RunDirectory) -> None:
    path = write(folder, {"persistentVolumeClaim": {"claimName": "models", "path": "m.keras"}})
    told = r"a volume is mounted only in a cluster; give the file itself: triveni run m\.yaml --model FILE"
    with pytest.raises(InvalidManifest, match=told):
        read_manifest(path)
    place = place_model(read_manifest(path, Path("m.keras")), folder, {})
    assert parsed(place).place == FilePlace(Path("m.keras").absolute())


def test_a_model_that_only_its_owner_has_is_asked_for(folder: RunDirectory) -> None:
    told = r"source\.owner: only its owner has the model; give the file itself: triveni run m\.yaml --model FILE"
    with pytest.raises(InvalidManifest, match=told):
        read_manifest(write(folder, {"owner": {}}))


def test_a_model_may_be_two_files_unless_it_has_a_digest(folder: RunDirectory) -> None:
    pair = TwoFiles(Path("m.json"), Path("w.h5"))
    place = place_model(read_manifest(write(folder, {"s3": STORE}), pair), folder, {})
    assert parsed(place).place == PairPlace(Path("m.json").absolute(), Path("w.h5").absolute())
    manifest = read_manifest(write(folder, {"s3": STORE}, digest=DIGEST), pair)
    with pytest.raises(Unusable, match=r"spec\.model\.digest: is that of one file.*; put the two into one zip"):
        place_model(manifest, folder, {})


def test_an_address_that_cannot_be_is_refused(folder: RunDirectory) -> None:
    path = write(folder, {"http": {"url": "https://models.example:99999/m"}})
    with pytest.raises(Unusable, match=r"http\.url: 'https://models\.example:99999/m' cannot be fetched"):
        place_model(read_manifest(path), folder, {})
