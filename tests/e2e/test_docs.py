"""What the pages tell a reader to do on a cluster, done on one, command by command, in the order of each page.

The reader installs a release of their own, so that of the other tests is away meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.pages import Step, steps
from tests.docs.places import NEEDS, Needs, for_cluster
from tests.docs.shell import Shell
from tests.e2e.cluster import binaries
from tests.e2e.cluster.places import PROJECT
from tests.e2e.operator import CHART, IMAGES, Operator
from tests.e2e.securemodels import Models, mnist
from tests.e2e.tools import Helm, Kubectl, ToolFailed

RELEASE, MODELS = "triveni-system", "demo"

SECONDS = 400
"""For one command; the pages wait up to 300 for a SecureModel."""


class Reader:
    """Somebody with a checkout, kubectl, helm and triveni."""

    def __init__(self, kubectl: Kubectl, helm: Helm, folder: Path) -> None:
        self.kubectl, self.helm, self.folder = kubectl, helm.within(RELEASE), folder
        shutil.copytree(PROJECT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "charts").symlink_to(PROJECT / "charts")
        # What a page makes on the reader's machine before it goes on in the cluster.
        shutil.copy(PROJECT / "examples/mnist/model.keras", folder / "iris.keras")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "kubectl").symlink_to(binaries.kubectl())
        (programs / "helm").symlink_to(binaries.helm())
        self.environment = {
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(kubectl.kubeconfig),
        }

    def begin(self, needs: Needs) -> None:
        """Have in the cluster what a page begins with."""
        if needs is Needs.NOTHING:
            self.clear()
            return
        images = f"--set={IMAGES}"
        self.helm("upgrade", "--install", "triveni", CHART, "--create-namespace", "--wait", "--timeout=120s", images)
        if needs is Needs.OPERATOR:
            self._forget()
            return
        if not self.kubectl.exists("namespace", MODELS):
            self.kubectl("create", "namespace", MODELS)
        models = Models(self.kubectl.within(MODELS))
        models.kubectl("delete", "securemodels", "--field-selector=metadata.name!=mnist")
        models.apply(mnist(requestQuota=100, suspend=False))  # the one that the last page left, if it left one
        models.until_ready()

    def clear(self) -> None:
        """Remove the release, the definition, and all SecureModels with it."""
        self._forget()
        with suppress(ToolFailed):
            self.helm("uninstall", "triveni", "--wait", "--timeout=120s")
        self.kubectl("delete", "crd", "securemodels.triveni.dev", "--ignore-not-found", "--timeout=150s")

    def _forget(self) -> None:
        self.kubectl("delete", "namespace", MODELS, "--ignore-not-found", "--timeout=150s")

    def words(self, step: Step) -> str:
        """The command with this cluster's images, and a node that it has."""
        first = self.kubectl.get("nodes")[0]["metadata"]["name"]
        text = step.text.replace("REGISTRY", "localhost").replace("node1", first)
        return f"{text} --set {IMAGES}" if text.startswith(("helm install", "helm upgrade")) else text


@pytest.fixture(scope="module")
def reader(
    release: Operator, kubectl: Kubectl, cluster_helm: Helm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    release.uninstall()
    reader = Reader(kubectl, cluster_helm, tmp_path_factory.mktemp("reader"))
    reader.clear()
    try:
        yield reader
    finally:
        reader.clear()
        release.install()


@pytest.mark.parametrize("page", NEEDS)
def test_what_a_page_tells_a_reader_to_do_on_a_cluster_works(page: str, reader: Reader) -> None:
    reader.begin(NEEDS[page])
    with Shell(reader.folder, reader.environment) as shell:
        for step in steps(page):
            if for_cluster(step):
                status, printed = shell.run(reader.words(step), SECONDS)
                assert status == step.status, f"{step} ended with {status}: {printed}"
