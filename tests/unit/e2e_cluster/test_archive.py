"""Archives of images, read and thinned out."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.e2e.cluster import archive
from tests.e2e.cluster.archive import Archive


@pytest.fixture
def image(tmp_path: Path) -> Archive:
    program = tmp_path / "pause"
    program.write_bytes(b"a static program")
    archive.write_program("localhost/pause:1", program, tmp_path / "pause.tar")
    return archive.read(tmp_path / "pause.tar")


def names(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return set(tar.getnames())


def content(path: Path, name: str) -> bytes:
    with tarfile.open(path) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read()


def test_an_image_of_one_program_says_its_name_and_its_only_layer(image: Archive) -> None:
    assert image.name == "localhost/pause:1"
    layer = content(image.path, "layer.tar")
    assert image.layers == (f"sha256:{hashlib.sha256(layer).hexdigest()}",)


def test_the_same_program_makes_the_same_image(image: Archive, tmp_path: Path) -> None:
    archive.write_program("localhost/pause:1", tmp_path / "pause", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == image.path.read_bytes()


def test_a_thin_archive_leads_from_its_index_to_every_blob(image: Archive, tmp_path: Path) -> None:
    thin = tmp_path / "thin.tar"
    archive.write_thin(image, (), thin)

    index = json.loads(content(thin, "index.json"))
    (described,) = index["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == image.name
    manifest = json.loads(content(thin, f"blobs/{described['digest'].replace(':', '/')}"))
    for blob in (described, manifest["config"], *manifest["layers"]):
        found = content(thin, f"blobs/{blob['digest'].replace(':', '/')}")
        assert blob["digest"] == f"sha256:{hashlib.sha256(found).hexdigest()}"
        assert blob["size"] == len(found)


def test_a_thin_archive_leaves_out_the_layers_that_are_known(image: Archive, tmp_path: Path) -> None:
    archive.write_thin(image, (), tmp_path / "all.tar")
    archive.write_thin(image, image.layers, tmp_path / "thin.tar")
    (layer,) = image.layers
    assert names(tmp_path / "all.tar") - names(tmp_path / "thin.tar") == {f"blobs/{layer.replace(':', '/')}"}
