"""A manifest is read as kubectl would read it, and what cannot be served from it is said in words."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from triveni.api.manifest import MAX_BYTES, DigestMismatch, InvalidManifest, check_digest, read_manifest

MODEL = b"PK\x03\x04 a model"

SECURE_MODEL = """
apiVersion: triveni.dev/v1alpha1
kind: SecureModel
metadata: {name: mnist}
spec:
  model: {source: {configMap: {name: mnist-model, key: model.keras}}}
  requestQuota: 3
"""

CONFIG_MAP = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: mnist-model}}
binaryData:
  model.keras: |
    {base64.b64encode(MODEL[:6]).decode()}
    {base64.b64encode(MODEL[6:]).decode()}
"""

SECRET = f"""
apiVersion: v1
kind: Secret
metadata: {{name: mnist-model}}
data: {{model.keras: {base64.b64encode(MODEL).decode()}}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mnist.yaml"


def write(path: Path, *documents: str) -> Path:
    path.write_text("---".join(documents))
    return path


def told(path: Path, *documents: str) -> str:
    """The text of the error for a manifest of `documents`, without the path."""
    if documents:
        write(path, *documents)
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(path)
    return str(caught.value).replace(f"{path}: ", "")


def test_the_model_comes_from_the_config_map_of_the_same_file(path: Path) -> None:
    manifest = read_manifest(write(path, SECURE_MODEL, CONFIG_MAP))
    assert manifest.model == MODEL
    assert manifest.secure_model.spec.request_quota == 3
    assert manifest.ignored == ()


def test_the_order_of_documents_and_empty_ones_do_not_matter(path: Path) -> None:
    assert read_manifest(write(path, "\n", CONFIG_MAP, "\n", SECURE_MODEL, "\n")).model == MODEL


def test_the_model_comes_from_a_secret(path: Path) -> None:
    assert read_manifest(write(path, SECURE_MODEL.replace("configMap", "secret"), SECRET)).model == MODEL


def test_a_file_source_is_relative_to_the_manifest(path: Path) -> None:
    (path.parent / "model.keras").write_bytes(MODEL)
    text = SECURE_MODEL.replace("configMap: {name: mnist-model, key: model.keras}", "file: {path: model.keras}")
    assert read_manifest(write(path, text)).model == path.parent / "model.keras"


def test_a_missing_model_file_is_named(path: Path) -> None:
    text = SECURE_MODEL.replace("configMap: {name: mnist-model, key: model.keras}", "file: {path: model.keras}")
    assert told(path, text) == (
        "spec.model.source.file.path: there is no file 'model.keras'; "
        "give the path of a .keras file, relative to the manifest"
    )


def test_other_objects_are_listed(path: Path) -> None:
    other = "\napiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n"
    assert read_manifest(write(path, SECURE_MODEL, CONFIG_MAP, other)).ignored == ("Namespace 'demo'",)


def test_the_model_is_not_shown(path: Path) -> None:
    manifest = read_manifest(write(path, SECURE_MODEL, CONFIG_MAP))
    assert "PK" not in repr(manifest)


def test_a_file_that_is_not_there(path: Path) -> None:
    assert told(path) == "the file: does not exist; give the path of a manifest, such as examples/mnist.yaml"


def test_a_directory_is_no_manifest(path: Path) -> None:
    path.mkdir()
    assert told(path) == "the file: cannot be read (Is a directory); give the path of a readable manifest"


def test_no_secure_model(path: Path) -> None:
    assert told(path, CONFIG_MAP) == (
        "the file: holds no SecureModel, only ConfigMap 'mnist-model'; add one (apiVersion: triveni.dev/v1alpha1)"
    )


def test_two_secure_models(path: Path) -> None:
    assert told(path, SECURE_MODEL, SECURE_MODEL.replace("name: mnist}", "name: other}")) == (
        "the file: holds 2 SecureModels: SecureModel 'mnist', SecureModel 'other'; give each a file of its own"
    )


def test_another_api_version(path: Path) -> None:
    assert told(path, SECURE_MODEL.replace("v1alpha1", "v1"), CONFIG_MAP) == (
        "apiVersion: 'triveni.dev/v1' is not an API version that this triveni reads; write triveni.dev/v1alpha1"
    )


def test_a_misspelt_kind(path: Path) -> None:
    assert told(path, SECURE_MODEL.replace("kind: SecureModel", "kind: SecuredModel"), CONFIG_MAP) == (
        "kind: 'SecuredModel' is not the kind that belongs here; write SecureModel"
    )


def test_an_unknown_field(path: Path) -> None:
    assert told(path, SECURE_MODEL.replace("requestQuota", "requestQuotta"), CONFIG_MAP) == (
        "spec.requestQuotta: is not a field; did you mean requestQuota?"
    )


def test_no_config_map_of_that_name(path: Path) -> None:
    assert told(path, SECURE_MODEL, CONFIG_MAP.replace("name: mnist-model", "name: other")) == (
        "spec.model.source.configMap.name: the file holds no ConfigMap 'mnist-model' in namespace default, "
        "only ConfigMap 'other'; put the ConfigMap 'mnist-model' into the same file, "
        "or give the model file itself with --model FILE"
    )


def test_no_config_map_at_all(path: Path) -> None:
    assert told(path, SECURE_MODEL) == (
        "spec.model.source.configMap.name: the file holds no ConfigMap; "
        "put the ConfigMap 'mnist-model' into the same file, or give the model file itself with --model FILE"
    )


def test_a_config_map_of_another_namespace_is_another_one(path: Path) -> None:
    assert "in namespace default" in told(path, SECURE_MODEL, CONFIG_MAP.replace("{name", "{namespace: b, name"))


def test_no_such_key(path: Path) -> None:
    assert told(path, SECURE_MODEL, CONFIG_MAP.replace("model.keras:", "m.keras:")) == (
        "spec.model.source.configMap.key: ConfigMap 'mnist-model' holds no 'model.keras' in binaryData, "
        "only m.keras; name a key it holds"
    )


@pytest.mark.parametrize("value", ["no base64!", "3", "[1, 2]", "AAAA=A"])
def test_what_is_no_base64(path: Path, value: str) -> None:
    text = SECRET[: SECRET.index("\ndata:") + 1] + f"data: {{model.keras: {value}}}"
    assert "Secret 'mnist-model' data.model.keras: is not base64; let kubectl create secret" in told(
        path, SECURE_MODEL.replace("configMap", "secret"), text
    )


def test_what_is_no_yaml_is_named_with_its_line(path: Path) -> None:
    assert told(path, "a: [1, 2\nb: 3\n").startswith("line 2: cannot be read as YAML: ")


def test_binary_data_is_no_manifest(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04\x00\x00")
    assert "cannot be read as YAML" in told(path)


def test_a_document_that_is_no_object(path: Path) -> None:
    assert told(path, "- 1\n") == "document 1: a list is not an object; is it a manifest?"


def test_aliases_are_refused_since_they_can_grow_without_bound(path: Path) -> None:
    assert told(path, "a: &x [1]\nb: [*x, *x]\n") == "line 2: cannot be read as YAML: the alias *x; mend that line"


def test_a_key_given_twice_is_refused(path: Path) -> None:
    assert told(path, "a: 1\na: 2\n") == "line 2: cannot be read as YAML: the key 'a' a second time; mend that line"


def test_python_objects_are_not_made(path: Path) -> None:
    assert "cannot be read as YAML" in told(path, "a: !!python/object/apply:os.system ['true']\n")


def test_a_deeply_nested_document_is_refused(path: Path) -> None:
    assert "YAML" in told(path, "[" * 5000)


def test_a_huge_file_is_refused(path: Path) -> None:
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert told(path) == "the file: is larger than 16 MiB; name the model by source.file instead"


def test_the_digest_decides_which_model_is_meant() -> None:
    digest = "sha256:f11a425906289abf8cce1733622834c8ce2a6c7aa5dc1a7a5c9ef1a2b8f4ba2f"
    check_digest(MODEL, None)
    with pytest.raises(DigestMismatch, match=r"put in the right model, or correct the digest"):
        check_digest(MODEL, digest)
    with pytest.raises(DigestMismatch) as caught:
        check_digest(MODEL, digest)
    check_digest(MODEL, caught.value.got)
