"""Addresses of the machines, all of them inside network namespaces: the host has none of them and no route to any.

The control plane's namespace holds the bridge that all nodes hang on. A node has routes to the pods of the other nodes
and no default route, so whatever a pod sends stays here.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster.commands import CommandFailed, run
from tests.e2e.cluster.machine import Step

BRIDGE = "nodes"
CONTROL_PLANE = "10.89.0.1"
NODES = "10.89.0"
PODS = "10.88"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
API_PORT = 6443
API = f"https://{CONTROL_PLANE}:{API_PORT}"


@dataclass(frozen=True, slots=True)
class Node:
    """A node by its number, from 1."""

    number: int

    @property
    def name(self) -> str:
        """Its name in the cluster, its host name and that of its directory."""
        return f"node{self.number}"

    @property
    def address(self) -> str:
        """Its address on the bridge."""
        return f"{NODES}.{10 + self.number}"

    @property
    def pods(self) -> str:
        """The addresses of its pods."""
        return f"{PODS}.{self.number}.0/24"


def load_module() -> None:
    """Have the kernel show bridged packets to iptables, which not every kernel does unasked."""
    if not Path("/proc/sys/net/bridge").exists():
        run("modprobe", "br_netfilter")


def nodes(count: int) -> list[Node]:
    """The nodes of a cluster of this size."""
    return [Node(number) for number in range(1, count + 1)]


def of_control_plane(others: list[Node]) -> list[Step]:
    """What the control plane's first process sets up: the bridge, and the way to every pod."""
    return [
        ["run", "ip", "link", "set", "lo", "up"],
        ["run", "ip", "link", "add", BRIDGE, "type", "bridge"],
        ["run", "ip", "address", "add", f"{CONTROL_PLANE}/24", "dev", BRIDGE],
        ["run", "ip", "link", "set", BRIDGE, "up"],
        *(["run", "ip", "route", "add", node.pods, "via", node.address] for node in others),
    ]


def of_node(node: Node, others: list[Node]) -> list[Step]:
    """What a node's first process sets up, once it has been plugged in."""
    return [
        ["run", "ip", "link", "set", "lo", "up"],
        ["await-link", "eth0"],
        ["run", "ip", "address", "add", f"{node.address}/24", "dev", "eth0"],
        ["run", "ip", "link", "set", "eth0", "up"],
        *(["run", "ip", "route", "add", other.pods, "via", other.address] for other in others if other != node),
        ["write", "/proc/sys/net/ipv4/ip_forward", "1"],
        # Counted for each namespace: without it, network policies do not see what passes between pods of one node.
        ["write", "/proc/sys/net/bridge/bridge-nf-call-iptables", "1"],
    ]


def plug_in(node: Node, control_plane: int, process: int) -> None:
    """Connect the network namespace of `process` with the bridge in that of `control_plane`."""
    at_bridge = ("ip", "link", "add", node.name, "master", BRIDGE, "up")
    run("nsenter", "--target", control_plane, "--net", *at_bridge, "type", "veth", "peer", "eth0", "netns", process)


def unplug(node: Node, control_plane: int) -> None:
    """Remove a dead node's link now: the kernel does so in its own time, and `plug_in` needs its name."""
    with contextlib.suppress(CommandFailed):
        run("nsenter", "--target", control_plane, "--net", "ip", "link", "delete", node.name)
