"""Where things lie on this machine: the project, the cache that outlives every cluster, and one cluster's directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
STANDING = PROJECT / "build" / "e2e-cluster"
"""The cluster of `make cluster-up`."""


def cache() -> Path:
    """What is built once for all clusters and all checkouts: binaries, the base image, unpacked images."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "triveni" / "cluster"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one cluster, as the host sees them."""

    directory: Path

    @property
    def state(self) -> Path:
        """Which flavour the cluster has and how many nodes; there from the beginning of `up` to the end of `down`."""
        return self.directory / "cluster.json"

    @property
    def lock(self) -> Path:
        """Held by the one command that changes the cluster."""
        return self.directory / "lock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def logs(self) -> Path:
        """The logs of every daemon. They stay when the cluster goes, until the next one comes up here."""
        return self.directory / "logs"

    @property
    def processes(self) -> Path:
        """One file for each machine that runs, naming its process."""
        return self.directory / "processes"

    def node(self, name: str) -> Path:
        """What is a node's own: its configuration, its /var."""
        return self.directory / name
