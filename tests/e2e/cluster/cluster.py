"""What everybody else sees of a cluster, whatever it is made of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.e2e.cluster.commands import ClusterError
from tests.e2e.cluster.places import Places

DEFAULT_NODES = 3


@dataclass(frozen=True, slots=True)
class Status:
    """What a cluster is made of and whether its parts are there."""

    flavour: str
    kubeconfig: Path
    control_plane: bool
    nodes: dict[str, bool]

    def __str__(self) -> str:
        parts = {"control plane": self.control_plane} | self.nodes
        lines = [f"{name:14}{'up' if up else 'DOWN'}" for name, up in parts.items()]
        return "\n".join([f"flavour       {self.flavour}", *lines, f"kubeconfig    {self.kubeconfig}"])


class Cluster(Protocol):
    """One cluster, in one directory."""

    @property
    def places(self) -> Places:
        """Where its files are."""

    def prepare(self) -> None:
        """Install and build whatever `up` needs beside images."""

    def up(self, nodes: int, images: Sequence[Path]) -> Path:
        """Bring it up with these image archives on every node; the administrator's kubeconfig."""

    def down(self) -> None:
        """Take down whatever of it is there, also after half an `up`. Only its logs stay."""

    def load(self, images: Sequence[Path]) -> None:
        """Put more image archives onto every running node."""

    def kill_node(self, name: str) -> None:
        """Cut the power of a node."""

    def start_node(self, name: str) -> None:
        """Switch a node on that was killed."""

    def exec_node(self, name: str, *command: str) -> int:
        """Run a command on a node; its exit status."""

    def status(self) -> Status | None:
        """What is there; None if nothing is."""


def at(directory: Path) -> Cluster:
    """The cluster of `directory`: of the flavour that it has, or that a new one would have here."""
    from tests.e2e.cluster.kind import KindCluster
    from tests.e2e.cluster.machines import MachineCluster

    places = Places(directory.resolve())
    if places.state.exists():
        flavour = json.loads(places.state.read_text())["flavour"]
    else:
        flavour = KindCluster.FLAVOUR if docker_answers() else MachineCluster.FLAVOUR
    return KindCluster(places) if flavour == KindCluster.FLAVOUR else MachineCluster(places)


def why_not() -> str:
    """Why no cluster can come up on this machine; empty if one can."""
    if docker_answers():
        return ""
    if not sys.platform.startswith("linux"):
        return "no Docker engine answers, and only Linux can do without"
    if os.geteuid():
        return "no Docker engine answers, and without one it takes root"
    return ""


def docker_answers() -> bool:
    """Whether there is a Docker engine that this user may use."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def remember(places: Places, flavour: str, nodes: int) -> None:
    """Note that a cluster begins in this directory, which must hold none."""
    if places.state.exists():
        raise ClusterError(f"{places.directory} holds a cluster; take it down first, or use another directory")
    places.directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(places.logs, ignore_errors=True)
    places.logs.mkdir()
    places.state.write_text(json.dumps({"flavour": flavour, "nodes": nodes}))


def forget(places: Places) -> None:
    """Remove all files of a cluster but its logs; the note of it last, so that half a `down` can be repeated."""
    if not places.directory.exists():
        return
    for entry in places.directory.iterdir():
        if entry in (places.logs, places.state, places.lock):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    places.state.unlink(missing_ok=True)
