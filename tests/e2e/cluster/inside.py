"""What a machine sees at fixed places, wherever the cluster's directory and the cache lie on the host."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster import binaries
from tests.e2e.cluster.machine import Step
from tests.e2e.cluster.places import cache

CLUSTER = "/mnt/cluster"
PKI = f"{CLUSTER}/pki"
LOGS = f"{CLUSTER}/logs"
_CACHE = "/mnt/cache"


def program(recipe: binaries.Recipe, name: str) -> str:
    """The path of a program that was built here."""
    return f"{_CACHE}/{recipe.directory.name}/{name}"


def mounts(directory: Path) -> list[Step]:
    """Make `CLUSTER` and the cache appear. /mnt is there on every Linux and holds nothing that a machine needs."""
    return [
        ["run", "mount", "--make-rshared", "/"],
        ["run", "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt"],
        ["run", "mkdir", CLUSTER, _CACHE],
        ["run", "mount", "--bind", str(directory), CLUSTER],
        ["run", "mount", "--bind", str(cache()), _CACHE],
    ]
