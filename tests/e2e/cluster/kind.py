"""The cluster of kind: its nodes are containers of a Docker engine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.e2e.cluster import binaries, cgroups, progress
from tests.e2e.cluster import cluster as cluster_
from tests.e2e.cluster.cluster import Status
from tests.e2e.cluster.commands import ClusterError, CommandFailed, run
from tests.e2e.cluster.places import Places

_CONTROL_PLANE = "control-plane"


class KindCluster:
    """A cluster of containers."""

    FLAVOUR: ClassVar[str] = "kind"

    def __init__(self, places: Places) -> None:
        self._places = places
        self._name = cgroups.group(places.directory)

    @property
    def places(self) -> Places:
        """Where its files are."""
        return self._places

    def prepare(self) -> None:
        """Install and build whatever `up` needs beside images."""
        for recipe in (binaries.KUBECTL, binaries.KIND, binaries.HELM):
            recipe.build()

    def up(self, nodes: int, images: Sequence[Path]) -> Path:
        """Bring it up with these image archives on every node; the administrator's kubeconfig."""
        self.prepare()
        with progress.step(f"bringing up {nodes} node{'s' * (nodes > 1)} with kind"):
            cluster_.remember(self._places, self.FLAVOUR, nodes)
            # Of this kind's own Kubernetes, whose image it names by its digest.
            self._kind("create", "cluster", "--config=-", "--wait=180s", text=json.dumps(_configuration(nodes)))
            self.load(images)
        return self._places.kubeconfig

    def down(self) -> None:
        """Take down whatever of it is there, also after half an `up`. Only its logs stay."""
        if self._places.state.exists():
            with contextlib.suppress(CommandFailed):
                self._kind("export", "logs", str(self._places.logs))
            self._kind("delete", "cluster")
        cluster_.forget(self._places)

    def load(self, images: Sequence[Path]) -> None:
        """Put more image archives onto every running node."""
        for image in images:
            self._kind("load", "image-archive", str(image))

    def kill_node(self, name: str) -> None:
        """Cut the power of a node."""
        run("docker", "kill", self._container(name))

    def start_node(self, name: str) -> None:
        """Switch a node on that was killed."""
        run("docker", "start", self._container(name))

    def exec_node(self, name: str, *command: str) -> int:
        """Run a command on a node; its exit status."""
        return subprocess.run(["docker", "exec", self._container(name), *command], check=False).returncode

    def status(self) -> Status | None:
        """What is there; None if nothing is."""
        if not self._places.state.exists():
            return None
        up = self._containers()
        control_plane = up.pop(f"{self._name}-{_CONTROL_PLANE}", False)
        return Status(self.FLAVOUR, self._places.kubeconfig, control_plane, up)

    def _kind(self, *arguments: str, text: str | None = None) -> str:
        environment = os.environ | {"KUBECONFIG": str(self._places.kubeconfig)}
        return run(binaries.kind(), *arguments, f"--name={self._name}", text=text, env=environment)

    def _containers(self) -> dict[str, bool]:
        """The containers, called like the nodes that they are, and whether they run."""
        ours = f"--filter=label=io.x-k8s.kind.cluster={self._name}"
        lines = run("docker", "ps", "--all", ours, "--format={{.Names}} {{.State}}").splitlines()
        return {name: state == "running" for name, state in map(str.split, lines)}

    def _container(self, name: str) -> str:
        containers = self._containers()
        if name not in containers:
            raise ClusterError(f"no node is called {name}; there are {', '.join(containers)}")
        return name


def _configuration(nodes: int) -> dict[str, object]:
    """A control plane that runs nothing else, and `nodes` workers. kind's own network enforces policies."""
    workers = [{"role": "worker"} for _ in range(nodes)]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": "127.0.0.1"},
        "nodes": [{"role": _CONTROL_PLANE}, *workers],
    }
