"""Namespaces that tests make for themselves, beside the one that every test gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.e2e.tools import Kubectl


@contextmanager
def fresh_namespaces(kubectl: Kubectl, count: int) -> Iterator[list[Kubectl]]:
    """kubectl in each of some new namespaces with pod security `restricted`; gone with everything at the end."""
    names = [f"test-{uuid4().hex[:8]}" for _ in range(count)]
    kubectl.apply(*(_namespace(name) for name in names))
    yield [kubectl.within(name) for name in names]
    kubectl("delete", "namespace", *names, "--timeout=170s")


def _namespace(name: str) -> dict[str, object]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
