"""The cluster of the whole tier, the operator in it as `helm install` puts it there, and a namespace for each test.

Tests that need no cluster (those of the chart) ask for none and wait for none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.cluster import binaries, images
from tests.e2e.cluster.cluster import DEFAULT_NODES, Cluster, at, why_not
from tests.e2e.cluster.guard import guarded
from tests.e2e.cluster.places import PROJECT
from tests.e2e.diagnosis import diagnose
from tests.e2e.namespaces import fresh_namespaces, until_all_are_gone
from tests.e2e.operator import Operator
from tests.e2e.securemodels import Models
from tests.e2e.tools import Helm, Kubectl

STANDING = "TRIVENI_E2E_CLUSTER"
"""Names the directory of a cluster that is up already and stays up: for whoever writes tests."""

TEST_SECONDS = 600
"""For one test. The first may wait longer: what comes before it builds Kubernetes, if this machine never did."""

_KUBECTL = pytest.StashKey[Kubectl]()


@pytest.fixture(scope="session")
def archives() -> list[Path]:
    """The archives of the two images of this checkout: the operator's, the worker's."""
    return images.build()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster of three nodes with both images; down again at the end, also if this process is killed."""
    if standing := os.environ.get(STANDING):
        there = at(Path(standing))
        if there.status() is None:
            pytest.fail(f"{STANDING} names {standing}, where no cluster is up")
        yield there
        return
    if reason := why_not():
        pytest.fail(f"no cluster can come up on this machine: {reason}")
    build = PROJECT / "build"
    build.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="e2e-", dir=build))
    cluster = at(directory)
    archives: list[Path] = request.getfixturevalue("archives")
    with ExitStack() as stack:
        stack.enter_context(guarded(directory))
        stack.callback(cluster.down)
        cluster.up(DEFAULT_NODES, archives)
        yield cluster
    # After a failure the logs of the cluster stay; the report of the test says where.
    if not request.session.testsfailed:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl, as the cluster's administrator; at the end nothing is left of the tests' namespaces."""
    kubectl = Kubectl(binaries.kubectl(), cluster.places.kubeconfig)
    request.config.stash[_KUBECTL] = kubectl
    yield kubectl
    until_all_are_gone(kubectl)


@pytest.fixture(scope="session")
def cluster_helm(cluster: Cluster) -> Helm:
    """helm, as the cluster's administrator."""
    return Helm(binaries.helm(), cluster.places.kubeconfig)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace with pod security `restricted`, deleted with everything in it at the end of the test."""
    with fresh_namespaces(kubectl, 1) as (within,):
        yield within.namespace


@pytest.fixture(scope="session")
def release(kubectl: Kubectl, cluster_helm: Helm) -> Iterator[Operator]:
    """The operator, installed with two replicas."""
    operator = Operator(kubectl, cluster_helm)
    operator.install()
    yield operator
    operator.uninstall()


@pytest.fixture
def operator(release: Operator) -> Iterator[Operator]:
    """The operator; after the test it must not have stumbled, nor asked for what it has no right to."""
    yield release
    release.must_not_have_stumbled()


@pytest.fixture
def models(operator: Operator, kubectl: Kubectl, namespace: str) -> Models:
    """The SecureModels of a fresh namespace."""
    return Models(kubectl.within(namespace))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The time limit of this tier counts for the tests alone, not for what brings the cluster up."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the cluster looks like goes into the report of every test that fails in it."""
    report = yield
    kubectl = item.config.stash.get(_KUBECTL, None)
    if kubectl is not None and report.failed and call.when == "call":
        report.sections.append(("logs of the cluster", str(kubectl.kubeconfig.parent / "logs")))
        report.sections.extend(diagnose(kubectl))
    return report
