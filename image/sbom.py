"""Writes the bill of materials of an image: CycloneDX 1.6, JSON, the same bytes for the same contents.

Runs while an image is built, with the Python of that image and nothing else:

    python3 sbom.py NAME PACKAGES DIRECTORY ... > SBOM

PACKAGES is what `lean.py` says of Debian's packages; DIRECTORIES hold the Python packages.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]


def main(name: str, packages: Path, directories: Sequence[str]) -> None:
    """Write the document to standard output."""
    debian = [of_debian(package) for package in json.loads(packages.read_text())]
    python = [of_python(distribution) for distribution in metadata.distributions(path=list(directories))]
    json.dump(document(name, [*debian, *python]), sys.stdout, indent=1)


def document(name: str, components: Iterable[Component]) -> dict[str, Any]:
    """The bill of an image with these components."""
    listed = sorted(components, key=lambda component: str(component["bom-ref"]))
    contents = "\n".join([name, *(component["bom-ref"] for component in listed)])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, contents)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": name}},
        "components": listed,
    }


def of_debian(package: Mapping[str, str]) -> Component:
    """One package of Debian. Security notices name the source package: it is there where it has another name."""
    name, version, architecture = (package[field] for field in ("Package", "Version", "Architecture"))
    qualifiers = f"arch={architecture}&distro=debian-12"
    component = _component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?{qualifiers}")
    if source := package.get("Source"):
        component["properties"] = [{"name": "triveni:debian:source", "value": source}]
    return component


def of_python(distribution: metadata.Distribution) -> Component:
    """One Python package, under the name that an index lists it by."""
    about = distribution.metadata
    name = re.sub(r"[-_.]+", "-", about["Name"]).lower()
    component = _component(name, distribution.version, f"pkg:pypi/{name}@{quote(distribution.version, safe='')}")
    if "License-Expression" in about:
        component["licenses"] = [{"expression": about["License-Expression"]}]
    return component


def _component(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
