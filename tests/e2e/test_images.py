"""The two images as they are built: who runs in them, what is not in them, and that they say what is. No cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster.archive import Contents, contents
from tests.e2e.cluster.images import SBOM, TARGETS
from tests.e2e.cluster.places import PROJECT

PROGRAMS = re.compile(r"(?:usr/)?s?bin/(?P<name>[^/]+)")

PYTHON = re.compile(r"python3(?:\.\d+)?")

OF_OTHERS = {
    *("sh", "bash", "dash", "busybox", "env", "su", "sudo", "mount"),
    *("apt", "apt-get", "dpkg", "pip", "pip3", "uv", "perl"),
    *("gcc", "cc", "cpp", "as", "ld", "make", "strip"),
    *("curl", "wget", "nc", "ssh", "tar"),
}


@pytest.fixture(scope="module", params=range(len(TARGETS)), ids=TARGETS)
def image(request: pytest.FixtureRequest, archives: list[Path]) -> Contents:
    return contents(archives[request.param], SBOM, "etc/passwd")


def files(image: Contents) -> dict[str, int]:
    """Mode of each file that is neither link nor directory."""
    return {name: entry.mode for name, entry in image.files.items() if entry.isfile() or entry.islnk()}


def bill(image: Contents) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(image.texts[SBOM])
    return document


def test_nobody_runs_as_root_or_can_become_it(image: Contents) -> None:
    assert image.config["User"] == "65532:65532"
    assert b"\ntriveni:x:65532:" in image.texts["etc/passwd"]
    assert [name for name, entry in image.files.items() if entry.mode & 0o6000] == []


def test_nothing_but_what_is_for_temporary_files_may_be_written_by_all(image: Contents) -> None:
    open_to_all = {name for name, entry in image.files.items() if entry.mode & 0o002 and not entry.issym()}
    assert open_to_all == {"tmp", "var/tmp"}
    assert {image.files[name].mode & 0o7777 for name in open_to_all} == {0o1777}


def test_of_programs_there_is_python_and_no_shell_compiler_or_package_manager(image: Contents) -> None:
    programs = {match["name"] for name in image.files if (match := PROGRAMS.fullmatch(name))}
    assert programs
    assert [name for name in programs if not PYTHON.fullmatch(name)] == []
    executable = {name for name, mode in files(image).items() if mode & 0o111}
    assert [name for name in executable if name.rpartition("/")[2] in OF_OTHERS] == []


def test_nothing_is_left_of_what_installed_and_built_it(image: Contents) -> None:
    remains = re.compile(r"build/|etc/apt/|var/lib/(?:apt|dpkg)/|.*/site-packages/(?:pip|uv|ensurepip)/|.*pip\.conf")
    assert [name for name in files(image) if remains.match(name)] == []


def test_the_operator_computes_nothing_and_holds_no_tensorflow(archives: list[Path]) -> None:
    operator = contents(archives[TARGETS.index("operator")]).files
    packages = {name.split("/site-packages/")[1].split("/")[0] for name in operator if "/site-packages/" in name}
    assert "kopf" in packages
    assert packages & {"tensorflow", "tf_encrypted", "numpy", "h5py"} == set()


def test_its_bill_of_materials_lists_each_python_package_in_the_version_of_the_lock(image: Contents) -> None:
    python = {one["name"]: one["version"] for one in bill(image)["components"] if one["purl"].startswith("pkg:pypi/")}
    found = (re.fullmatch(r".*/site-packages/([^/]+)-([^/-]+)\.dist-info/METADATA", name) for name in image.files)
    installed = {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in found if match}
    assert python == installed
    locks = "".join((PROJECT / f"requirements/{name}.lock").read_text() for name in ("operator", "worker"))
    locked = set(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", locks, re.MULTILINE))
    assert {(name, version) for name, version in python.items() if name != "triveni"} <= locked


def test_its_bill_of_materials_lists_each_package_of_debian(image: Contents) -> None:
    """Each package leaves its licence, by which it is found."""
    debian = {one["name"] for one in bill(image)["components"] if one["purl"].startswith("pkg:deb/debian/")}
    found = (re.fullmatch(r"usr/share/doc/([^/]+)(?:/copyright)?", name) for name in image.files)
    licences = {match[1] for match in found if match}
    assert licences == debian
    assert {"libc6", "python3.11-minimal", "libssl3", "ca-certificates"} <= debian


def test_its_bill_of_materials_says_what_it_is_about(image: Contents) -> None:
    said = bill(image)
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    assert said["metadata"]["component"]["name"] == image.config["Labels"]["org.opencontainers.image.title"]
    references = [one["bom-ref"] for one in said["components"]]
    assert len(set(references)) == len(references)
