"""Namespaces that tests make for themselves, beside the one that every test gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.e2e.tools import Kubectl
from tests.e2e.waiting import eventually

PREFIX = "test-"


@contextmanager
def fresh_namespaces(kubectl: Kubectl, count: int) -> Iterator[list[Kubectl]]:
    """kubectl in each of some new namespaces with pod security `restricted`; deleted with everything at the end.

    Nobody waits for that here; `until_all_are_gone` does, once.
    """
    names = [f"{PREFIX}{uuid4().hex[:8]}" for _ in range(count)]
    kubectl.apply(*(_namespace(name) for name in names))
    yield [kubectl.within(name) for name in names]
    kubectl("delete", "namespace", *names, "--wait=false")


def until_all_are_gone(kubectl: Kubectl) -> None:
    """Wait until no namespace of any test is left."""
    eventually(lambda: not _left(kubectl), 170, "the namespaces of all tests are gone")


def _left(kubectl: Kubectl) -> list[str]:
    names = [namespace["metadata"]["name"] for namespace in kubectl.get("namespaces")]
    return [name for name in names if name.startswith(PREFIX)]


def _namespace(name: str) -> dict[str, object]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
