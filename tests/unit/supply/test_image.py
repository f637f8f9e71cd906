"""What decides about the contents of an image, and its bill of materials."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from image.lean import MOVED, belongs, closure, parsed, put
from image.sbom import document, of_debian, of_python

STATUS = """Package: python3
Status: install ok installed
Architecture: amd64
Version: 3.11.2-1+b1
Pre-Depends: python3-minimal (= 3.11.2-1+b1)
Depends: python3.11 (>= 3.11.2-1~), libpython3-stdlib:any
Description: the language
 Depends: nothing, this is text

Package: python3-minimal
Status: install ok installed
Version: 3.11.2-1+b1
Architecture: amd64
Depends: dpkg (>= 1.13.20) | other

Package: python3.11
Status: install ok installed
Version: 3.11.2-6
Architecture: amd64
Depends: missing | libc6 (>= 2.36)

Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u10
Architecture: amd64
Source: glibc

Package: dpkg
Status: install ok installed
Version: 1
Architecture: amd64
Depends: tar

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: amd64

Package: bash
Status: install ok installed
Version: 5
Architecture: amd64
"""


def test_packages_stay_that_are_needed_and_no_others() -> None:
    installed = {package["Package"]: package for package in parsed(STATUS)}
    assert set(installed) == {"python3", "python3-minimal", "python3.11", "libc6", "dpkg", "bash"}
    assert closure(["python3"], installed) == {"python3", "python3-minimal", "python3.11", "libc6"}


def test_a_path_is_where_debian_keeps_it_today() -> None:
    paths = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld.so", "/bin/sh", "/lib", "/etc/lib/x", "/usr/lib/x"]
    assert [MOVED.sub(r"/usr\g<0>", path) for path in paths] == [
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib64/ld.so",
        "/usr/bin/sh",
        "/lib",
        "/etc/lib/x",
        "/usr/lib/x",
    ]


def test_of_programs_there_is_none() -> None:
    assert not belongs(Path("/usr/bin/env"))
    assert not belongs(Path("/usr/bin/there-is-none"))
    assert belongs(Path("/etc/passwd"))


def test_a_file_loses_the_rights_that_it_lends(tmp_path: Path) -> None:
    lent = tmp_path / "su"
    lent.write_text("")
    lent.chmod(0o6755)
    put(lent, tmp_path / "root")
    assert (tmp_path / "root" / lent.relative_to("/")).stat().st_mode & 0o7777 == 0o755


def test_a_bill_of_materials_names_each_package_by_its_url() -> None:
    (libc,) = [of_debian(package) for package in parsed(STATUS) if package["Package"] == "libc6"]
    numpy = of_python(metadata.distribution("numpy"))
    assert libc["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12"
    assert libc["properties"] == [{"name": "triveni:debian:source", "value": "glibc"}]
    assert numpy["purl"] == f"pkg:pypi/numpy@{metadata.version('numpy')}"
    bill = document("triveni-worker", [numpy, libc])
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert [component["name"] for component in bill["components"]] == ["libc6", "numpy"]


def test_the_same_contents_give_the_same_bytes() -> None:
    components = [of_python(metadata.distribution(name)) for name in ("numpy", "aiohttp")]
    assert json.dumps(document("a", components)) == json.dumps(document("a", components[::-1]))
    assert document("a", components)["serialNumber"] != document("a", components[:1])["serialNumber"]
