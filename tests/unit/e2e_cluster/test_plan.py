"""What machines are told to do, before any of them runs."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from tests.e2e.cluster import binaries, cgroups, control_plane, network, node


def test_no_node_has_a_way_out() -> None:
    nodes = network.nodes(3)
    for at in nodes:
        routes = [step for step in network.of_node(at, nodes) if step[1:4] == ["ip", "route", "add"]]
        assert [route[4] for route in routes] == [other.pods for other in nodes if other != at]


def test_addresses_of_nodes_pods_and_services_do_not_overlap() -> None:
    nodes = network.nodes(9)
    networks = [ipaddress.ip_network(f"{network.NODES}.0/24"), ipaddress.ip_network(network.SERVICES)]
    networks += [ipaddress.ip_network(at.pods) for at in nodes]
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)
    assert len({at.address for at in nodes} | {network.CONTROL_PLANE}) == 10


def test_every_step_is_words(tmp_path: Path) -> None:
    nodes = network.nodes(2)
    for steps in (control_plane.steps(tmp_path, nodes), node.steps(tmp_path, nodes[0], nodes)):
        assert all(isinstance(word, str) for step in steps for word in step)


def test_two_directories_have_different_groups() -> None:
    assert cgroups.group(Path("/a")) != cgroups.group(Path("/b"))


def test_kubernetes_is_pinned_at_one_version_in_all_its_modules() -> None:
    version = binaries.pinned("kubernetes", "k8s.io/kubernetes")
    modules = (binaries.RECIPES / "kubernetes" / "go.mod").read_text()
    staging = [line.split()[-1] for line in modules.splitlines() if line.startswith("replace k8s.io/")]
    assert set(staging) == {f"v0.{version.removeprefix('v1.')}"}
