"""Where pods listen. The Services in front of them use the same numbers."""

from __future__ import annotations

CLIENTS = 8443
"""Clients and the sharing job, over mutual TLS."""

PEERS = 8444
"""The other two workers, over mutual TLS."""

HEALTH = 8080
"""The kubelet's probes, in plain HTTP; nothing secret is said there."""

ClusterIPs = tuple[str, str, str]
"""The cluster-internal addresses of the three Services, in the order of parties."""


def host_port(host: str, port: int) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def any_address(cluster_ip: str) -> str:
    """Where to listen for what comes through a Service: on every address of the same family."""
    return "::" if ":" in cluster_ip else "0.0.0.0"  # noqa: S104 (a pod's network is its own, and policies guard it)
