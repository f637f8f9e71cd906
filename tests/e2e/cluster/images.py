"""The two images of this checkout, built with Docker where its engine answers, else with buildah; as archives.

An archive is named by the image that it holds, so what has not changed is not written again.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.cluster import archive, base_image, debian, progress
from tests.e2e.cluster.appearing import locked
from tests.e2e.cluster.cluster import docker_answers
from tests.e2e.cluster.commands import run, run_logged
from tests.e2e.cluster.places import PROJECT, cache

TARGETS = ("operator", "worker")
KEPT = 2
"""Archives of each image that stay."""

SBOM = "usr/share/triveni/sbom.cdx.json"
"""Where an image says what it is made of."""

_MACHINE = "/mnt"
"""Where a build sees the files that say how this machine reaches package registries: a folder that every image has."""


def name(target: str) -> str:
    """What an image is called in the test cluster."""
    return f"localhost/triveni-{target}:dev"


def build() -> list[Path]:
    """Build both images; their archives."""
    with locked(cache() / "images.lock"), progress.step("building images"):
        if docker_answers():
            return [_archived(target, _with_docker(target)) for target in TARGETS]
        debian.install(debian.IMAGES)
        if subprocess.run(["buildah", "inspect", base_image.NAME], capture_output=True, check=False).returncode:
            base_image.make()
        with tempfile.TemporaryDirectory() as machine:
            arguments = _registries(Path(machine))
            return [_archived(target, _with_buildah(target, arguments)) for target in TARGETS]


def bills(to: Path) -> list[Path]:
    """Build both images; their bills of materials, as files in the directory `to`."""
    to.mkdir(parents=True, exist_ok=True)
    written = []
    for target, image in zip(TARGETS, build(), strict=True):
        written.append(to / f"triveni-{target}.cdx.json")
        written[-1].write_bytes(archive.contents(image, SBOM).texts[SBOM])
    return written


def _with_docker(target: str) -> str:
    run_logged(_log(target), "docker", "build", "--target", target, "--tag", name(target), PROJECT)
    return run("docker", "image", "inspect", "--format={{.Id}}", name(target)).strip()


def _with_buildah(target: str, arguments: list[str]) -> str:
    command = ("buildah", "build", "--pull=never", "--isolation", "chroot", "--network", "host", "--layers")
    run_logged(_log(target), *command, *arguments, "--target", target, "--tag", name(target), PROJECT)
    return run("buildah", "inspect", "--type=image", "--format={{.FromImageID}}", name(target)).strip()


def _archived(target: str, identity: str) -> Path:
    archives = cache() / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    file = archives / f"{target}-{identity.removeprefix('sha256:')[:12]}.tar"
    if not file.exists():
        unfinished = file.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        if docker_answers():
            run("docker", "save", "--output", unfinished, name(target))
        else:
            run("buildah", "push", "--quiet", name(target), f"docker-archive:{unfinished}:{name(target)}")
        unfinished.rename(file)
    os.utime(file)
    for old in sorted(archives.glob(f"{target}-*.tar"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
        old.unlink()
    return file


def _log(target: str) -> Path:
    return cache() / f"image-{target}.log"


def _registries(machine: Path) -> list[str]:
    """This machine's set-up of apt and pip, written into `machine` and shown to the build, which keeps nothing of it.

    Mounted where nothing else is: a certificate mounted over Debian's own would break the package that keeps those.
    """
    apt = run("apt-config", "dump", "Acquire").splitlines()
    wanted = ("Acquire::Check-", "Acquire::http", "Acquire::Retries")
    (machine / "apt.conf").write_text("\n".join([*(line for line in apt if line.startswith(wanted)), ""]))
    settings = _pip_settings()
    if "cert" in settings:
        (machine / "authorities.pem").write_bytes(Path(settings["cert"]).read_bytes())
        settings["cert"] = f"{_MACHINE}/authorities.pem"
    lines = [f"{key} = {value}" for key, value in settings.items()]
    (machine / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    files = {"APT_CONFIG": "apt.conf", "PIP_CONFIG_FILE": "pip.conf"}
    return [
        f"--volume={machine}:{_MACHINE}:ro",
        *(f"--build-arg={variable}={_MACHINE}/{file}" for variable, file in files.items()),
    ]


def _pip_settings() -> dict[str, str]:
    """Where pip finds packages on this machine, and whom it trusts: from its files, or the environment above them."""
    settings: dict[str, str] = {}
    found = [line.split("=", 1) for line in run(sys.executable, "-m", "pip", "config", "list").splitlines()]
    for origin in ("global.", "install.", ":env:."):
        for option, value in found:
            key = option.removeprefix(origin)
            if option.startswith(origin) and key in ("index-url", "extra-index-url", "trusted-host", "cert"):
                settings[key] = ast.literal_eval(value)
    return settings
