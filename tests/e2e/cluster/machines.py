"""The cluster of machines that are namespaces: Linux and root are all it needs.

    keeper (on the host; listens on 127.0.0.1)
      control-plane   etcd, API server, controller manager, scheduler; the network namespace with the bridge
        node1, node2, ...   containerd, kubelet, kube-proxy, kube-router; in the control plane's PID namespace

What is left to take down is little: the keeper ends everything, mounts and links go with their namespaces, so cgroups
and files remain.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import ClassVar

from tests.e2e.cluster import (
    archive,
    binaries,
    cgroups,
    control_plane,
    debian,
    image_store,
    network,
    node,
    pki,
    progress,
)
from tests.e2e.cluster import cluster as cluster_
from tests.e2e.cluster.appearing import locked
from tests.e2e.cluster.archive import Archive
from tests.e2e.cluster.cluster import Status
from tests.e2e.cluster.commands import ClusterError, CommandFailed, run, until
from tests.e2e.cluster.inside import CLUSTER
from tests.e2e.cluster.keeper import NAME, STEPS, namespaces
from tests.e2e.cluster.network import Node
from tests.e2e.cluster.places import PROJECT, Places
from tests.e2e.cluster.processes import Process, first_process, recall, remember, spawn

_ADDONS = Path(__file__).with_name("addons.yaml")
_KEEPER = "keeper"
_READY_SECONDS = 180


class MachineCluster:
    """A cluster of namespaces."""

    FLAVOUR: ClassVar[str] = "machines"

    def __init__(self, places: Places) -> None:
        self._places = places
        self._group = cgroups.group(places.directory)

    @property
    def places(self) -> Places:
        """Where its files are."""
        return self._places

    def prepare(self) -> None:
        """Install and build whatever `up` needs beside images."""
        debian.install(debian.MACHINES)
        network.load_module()
        for recipe in (binaries.KUBERNETES, binaries.KUBECTL, binaries.KUBE_ROUTER, binaries.COREDNS, binaries.HELM):
            recipe.build()

    def up(self, nodes: int, images: Sequence[Path]) -> Path:
        """Bring it up with these image archives on every node; the administrator's kubeconfig."""
        if os.geteuid():
            raise ClusterError("machines take root; with a Docker engine anybody can have a cluster")
        self.prepare()
        archives = [archive.read(path) for path in (binaries.pause_image(), binaries.coredns_image(), *images)]
        with self._alone(), progress.step(f"bringing up {nodes} node{'s' * (nodes > 1)}"):
            cluster_.remember(self._places, self.FLAVOUR, nodes)
            self._up(network.nodes(nodes), archives)
        return self._places.kubeconfig

    def _up(self, nodes: list[Node], images: Sequence[Archive]) -> None:
        places = self._places
        addresses = [network.CONTROL_PLANE, network.API_SERVICE, "127.0.0.1"]
        names = {at.name: at.address for at in nodes}
        authority = pki.write_all(places.directory / "pki", names, network.API, addresses)
        port = self._start_control_plane(nodes)
        pki.write_private(places.kubeconfig, pki.administrator(authority, f"https://127.0.0.1:{port}"))

        store = image_store.store(images, places.logs / "image-store.log")
        shutil.copy2(store / image_store.INVENTORY, self._inventory)
        for at in nodes:
            node.write_files(places.node(at.name), at, self._group)
        self._each(nodes, lambda at: image_store.link(store, self._containerd(at)))
        until(self._answers, _READY_SECONDS, "an answer of the API server", look=places.logs, every=0.2)
        progress.say("the API server answers")
        self._kubectl("apply", "--filename=-", text=_first_objects(nodes))
        for at in nodes:
            self._start(at, nodes)
        self._kubectl("wait", "node", "--all", "--for=condition=Ready", f"--timeout={_READY_SECONDS}s")
        # From here on network policies are enforced: kube-router has seen its node's address, and all policies.
        for at in nodes:
            until(partial(self._router_is_ready, at), _READY_SECONDS, f"network policies on {at.name}")
        self._kubectl(
            *("rollout", "status", "deployment/coredns"), "--namespace=kube-system", f"--timeout={_READY_SECONDS}s"
        )

    def down(self) -> None:
        """Take down whatever of it is there, also after half an `up`. Only its logs stay."""
        if not self._places.directory.exists():
            return
        with self._alone():
            for name in (_KEEPER, NAME):
                process = recall(self._places.processes / name)
                if process:
                    process.end(signal.SIGKILL)
            # The keeper's end kills the control plane, and that every node; wait for the last of them.
            names = (NAME, *self._names()) if self._places.state.exists() else ()
            for name in names:
                until(partial(_gone, self._places.processes / name), 30, f"the end of {name}")
            cgroups.remove(self._group)
            cluster_.forget(self._places)

    def load(self, images: Sequence[Path]) -> None:
        """Put more image archives onto every running node."""
        archives = [archive.read(path) for path in images]
        with self._alone(), image_store.delivery(archives, self._inventory) as delivery:
            self._each(self._nodes(), lambda at: self._import(at, delivery))

    def kill_node(self, name: str) -> None:
        """Cut the power of a node."""
        with self._alone():
            at = self._node(name)
            process = recall(self._process_file(at))
            if process:
                process.end(signal.SIGKILL)
            network.unplug(at, self._control_plane().number)
            # As a reboot would: the kubelet spends seconds on every cgroup of a container that is no more.
            cgroups.remove(self._group, name)

    def start_node(self, name: str) -> None:
        """Switch a node on that was killed."""
        with self._alone():
            at = self._node(name)
            if recall(self._process_file(at)):
                raise ClusterError(f"{name} is up")
            self._start(at, self._nodes())

    def exec_node(self, name: str, *command: str) -> int:
        """Run a command on a node; its exit status."""
        process = recall(self._places.processes / name)
        if process is None:
            raise ClusterError(f"{name} is not up; there may be {', '.join((NAME, *self._names()))}")
        enter = ("nsenter", "--target", str(process.number), "--mount", "--net", "--pid", "--uts", "--ipc", "--wd=/")
        return subprocess.run([*enter, *command], check=False).returncode

    def status(self) -> Status | None:
        """What is there; None if nothing is."""
        if not self._places.state.exists():
            return None
        up = {name: recall(self._places.processes / name) is not None for name in (NAME, *self._names())}
        return Status(self.FLAVOUR, self._places.kubeconfig, up.pop(NAME), up)

    def _start_control_plane(self, nodes: list[Node]) -> int:
        """Start the keeper; the port at which it listens."""
        places = self._places
        (places.directory / STEPS).write_text(json.dumps(control_plane.steps(places.directory, nodes)))
        command = [sys.executable, "-m", "tests.e2e.cluster.keeper", str(places.directory)]
        keeper = self._spawn(command, _KEEPER)
        remember(keeper, places.processes / _KEEPER)
        noted = places.processes / NAME

        def there() -> bool:
            if not keeper.alive:
                raise ClusterError(f"the control plane does not start; see {places.logs}/{_KEEPER}.log")
            return noted.exists()

        until(there, 20, "the start of the control plane", look=places.logs)
        return int(json.loads(noted.read_text())["port"])

    def _start(self, at: Node, nodes: list[Node]) -> None:
        """Start a node's machine in the control plane's PID namespace, and plug it in."""
        places = self._places
        cluster = self._control_plane()
        cgroups.make(self._group, at.name)
        steps = places.node(at.name) / "steps.json"
        steps.write_text(json.dumps(node.steps(places.directory, at, nodes)))
        enter = ["nsenter", "--target", str(cluster.number), "--pid", "--"]
        outer = self._spawn([*enter, *namespaces(str(steps), at.name, "--uts", "--ipc")], at.name)
        machine = first_process(outer.number)
        remember(machine, self._process_file(at))
        network.plug_in(at, cluster.number, machine.number)

    def _control_plane(self) -> Process:
        process = recall(self._places.processes / NAME)
        if process is None:
            raise ClusterError("the control plane is not up")
        return process

    def _spawn(self, command: list[str], name: str) -> Process:
        environment = os.environ | {"PATH": debian.PATH, "PYTHONPATH": str(PROJECT)}
        process = Process.of(spawn(command, self._places.logs / f"{name}.log", environment))
        if process is None:
            raise ClusterError(f"{name} does not start; see {self._places.logs}/{name}.log")
        return process

    def _router_is_ready(self, at: Node) -> bool:
        with contextlib.suppress(CommandFailed):
            return bool(self._kubectl("get", f"--raw=/api/v1/nodes/{at.name}:20244/proxy/healthz"))
        return False

    def _answers(self) -> bool:
        with contextlib.suppress(CommandFailed):
            return self._kubectl("get", "--raw=/readyz") == "ok"
        return False

    def _kubectl(self, *arguments: str, text: str | None = None) -> str:
        ours = (f"--kubeconfig={self._places.kubeconfig}", f"--cache-dir={self._places.directory}/kubectl")
        return run(binaries.kubectl(), *ours, *arguments, text=text)

    def _import(self, at: Node, delivery: image_store.Delivery) -> None:
        process = recall(self._process_file(at))
        if process is None:
            raise ClusterError(f"{at.name} is not up: images go to all nodes or none")
        enter = ("nsenter", "--target", process.number, "--mount", "--net", "--pid", "--wd=/")
        delivery.to(*enter, "ctr", "--namespace", "k8s.io", directory=self._places.directory, seen_at=CLUSTER)

    def _each(self, nodes: list[Node], do: Callable[[Node], None]) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(do, nodes))

    def _containerd(self, at: Node) -> Path:
        return self._places.node(at.name) / "var" / node.CONTAINERD.removeprefix("/var/")

    @property
    def _inventory(self) -> Path:
        return self._places.directory / image_store.INVENTORY

    def _process_file(self, at: Node) -> Path:
        return self._places.processes / at.name

    def _nodes(self) -> list[Node]:
        if not self._places.state.exists():
            raise ClusterError(f"no cluster in {self._places.directory}")
        return network.nodes(json.loads(self._places.state.read_text())["nodes"])

    def _names(self) -> list[str]:
        return [at.name for at in self._nodes()]

    def _node(self, name: str) -> Node:
        for at in self._nodes():
            if at.name == name:
                return at
        raise ClusterError(f"no node is called {name}; there are {', '.join(self._names())}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One command at a time changes a cluster."""
        with locked(self._places.lock):
            yield


def _gone(file: Path) -> bool:
    return recall(file) is None


def _first_objects(nodes: list[Node]) -> str:
    """Addons, and the nodes with pod addresses of our choice, which need no controller to hand them out."""
    addons = _ADDONS.read_text().replace("@DNS@", network.DNS_SERVICE).replace("@COREDNS@", binaries.COREDNS_IMAGE)
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": at.name},
            "spec": {"podCIDR": at.pods, "podCIDRs": [at.pods]},
        }
        for at in nodes
    ]
    # YAML first: what begins with a brace is read as JSON to its end.
    return "\n---\n".join([addons, *map(json.dumps, objects)])
