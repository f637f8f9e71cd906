"""How the definition of SecureModels comes with the chart, and that the chart is sound as a package."""

import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.chart.chart import CHART, Helm, one

ONE_COPY = CHART.parents[1] / "crds" / "triveni.dev_securemodels.yaml"
NAME = "securemodels.triveni.dev"


def definition() -> dict[str, Any]:
    return yaml.safe_load(ONE_COPY.read_text())


def test_the_definition_is_the_one_copy_and_is_kept_when_the_chart_goes(helm: Helm) -> None:
    rendered = one(helm.objects(), "CustomResourceDefinition", NAME)
    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered == definition()


def test_the_definition_goes_with_the_chart_where_that_is_asked_for(helm: Helm) -> None:
    assert one(helm.objects({"crds": {"keep": False}}), "CustomResourceDefinition", NAME) == definition()


def test_the_definition_can_be_left_to_somebody_else(helm: Helm) -> None:
    assert not [item for item in helm.objects({"crds": {"install": False}}) if item["kind"].startswith("CustomRes")]


def test_the_file_in_the_chart_is_a_link_to_the_one_copy() -> None:
    link = CHART / "files" / "securemodels.yaml"
    assert link.is_symlink()
    assert link.resolve() == ONE_COPY
    assert not link.readlink().is_absolute()


def test_a_package_contains_the_definition_itself_and_nothing_that_only_makes_it(helm: Helm, tmp_path: Path) -> None:
    helm("package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        members = {member.name: member for member in archive.getmembers()}
        assert all(member.isfile() for member in members.values())
        content = archive.extractfile("triveni/files/securemodels.yaml")
        assert content is not None
        assert content.read() == ONE_COPY.read_bytes()
    assert not [name for name in members if name.endswith(("make.py", ".pyc"))]
    assert helm.template(chart=package) == helm.template()


@pytest.mark.parametrize("case", sorted((Path(__file__).parent / "golden").glob("*.values.yaml")), ids=lambda p: p.stem)
def test_helm_finds_no_fault_with_it(helm: Helm, case: Path) -> None:
    helm("lint", "--strict", CHART, "--values", case)
