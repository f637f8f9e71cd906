"""Archives of images, as `docker save` writes them: made from one static program, read, and thinned out.

A thin archive leaves out the layers that its reader has already. Of our images only the last, small layer changes with
the code, so what would be a gigabyte is then a few megabytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of one image: its name, its identity (the digest of its configuration), its layers' digests."""

    path: Path
    name: str
    identity: str
    layers: tuple[str, ...]


def read(path: Path) -> Archive:
    """What an archive holds."""
    with tarfile.open(path) as tar:
        described = _json(tar, "manifest.json")[0]
        config = _content(tar, described["Config"])
    layers = tuple(json.loads(config)["rootfs"]["diff_ids"])
    return Archive(path, described["RepoTags"][0], _digest(config), layers)


@dataclass(frozen=True, slots=True)
class Contents:
    """What is inside an image: its configuration, and its files by path, without the slash at the front."""

    config: dict[str, Any]
    files: dict[str, tarfile.TarInfo]
    texts: dict[str, bytes]


def contents(path: Path, *wanted: str) -> Contents:
    """What an archive's image is made of, with the content of the `wanted` files. A later layer takes none away."""
    files: dict[str, tarfile.TarInfo] = {}
    texts: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        described = _json(tar, "manifest.json")[0]
        for name in described["Layers"]:
            with tarfile.open(fileobj=tar.extractfile(name)) as layer:
                for entry in layer:
                    file = entry.name.removeprefix("./").strip("/")
                    files[file] = entry
                    if file in wanted:
                        texts[file] = _content(layer, entry.name)
        return Contents(_json(tar, described["Config"])["config"], files, texts)


def write_thin(archive: Archive, known: Collection[str], to: Path) -> None:
    """Write the image again, in the layout of the Open Container Initiative, without the layers that are `known`."""
    with tarfile.open(archive.path) as source, tarfile.open(to, "w") as target:
        described = _json(source, "manifest.json")[0]
        config = _content(source, described["Config"])
        members = dict(zip(archive.layers, map(source.getmember, described["Layers"]), strict=True))
        layers = [_descriptor(f"{_OCI}.layer.v1.tar", digest, member.size) for digest, member in members.items()]
        manifest = _encoded(
            {
                "schemaVersion": 2,
                "mediaType": f"{_OCI}.manifest.v1+json",
                "config": _descriptor(f"{_OCI}.config.v1+json", archive.identity, len(config)),
                "layers": layers,
            }
        )
        described_manifest = _descriptor(f"{_OCI}.manifest.v1+json", _digest(manifest), len(manifest))
        named = described_manifest | {"annotations": {"io.containerd.image.name": archive.name}}
        _add(target, "oci-layout", _encoded({"imageLayoutVersion": "1.0.0"}))
        _add(target, "index.json", _encoded({"schemaVersion": 2, "manifests": [named]}))
        for content in (manifest, config):
            _add(target, _blob(_digest(content)), content)
        for digest, member in members.items():
            if digest not in known:
                entry = tarfile.TarInfo(_blob(digest))
                entry.size = member.size
                target.addfile(entry, source.extractfile(member))


def write_program(name: str, program: Path, to: Path) -> None:
    """Write an image called `name` that holds nothing but this static program. No builder is needed."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, program.name, program.read_bytes(), 0o755)
    config = _encoded(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
        }
    )
    config_file = f"{_digest(config).removeprefix('sha256:')}.json"
    with tarfile.open(to, "w") as tar:
        _add(tar, config_file, config)
        _add(tar, "layer.tar", layer.getvalue())
        _add(tar, "manifest.json", _encoded([{"Config": config_file, "RepoTags": [name], "Layers": ["layer.tar"]}]))


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _encoded(content: object) -> bytes:
    return json.dumps(content).encode()


def _json(tar: tarfile.TarFile, name: str) -> Any:
    return json.loads(_content(tar, name))


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file, f"{name} is no file"
    return file.read()


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
