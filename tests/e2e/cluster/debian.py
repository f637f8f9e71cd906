"""Debian's packages that machines and images need: what is missing is installed, as root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster import progress
from tests.e2e.cluster.commands import ClusterError, run

MACHINES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "etcd": "etcd-server",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mount": "mount",
    "modprobe": "kmod",
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
}
"""Command or file, and the package that brings it."""

IMAGES = {"buildah": "buildah", "debootstrap": "debootstrap", "tar": "tar"}

# An administrator's programs are not on everybody's path.
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))

_NO_SERVICES = Path("/usr/sbin/policy-rc.d")


def install(needed: Mapping[str, str]) -> None:
    """Install the packages of whatever is missing."""
    missing = sorted({package for what, package in needed.items() if not _present(what)})
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise ClusterError(f"missing on this machine: {', '.join(missing)} (the names are those of Debian's packages)")
    with progress.step(f"installing from Debian: {' '.join(missing)}"), _services_stay_down():
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", env=environment)
        run("apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing, env=environment)


def _present(what: str) -> bool:
    return Path(what).exists() if what.startswith("/") else shutil.which(what, path=PATH) is not None


@contextmanager
def _services_stay_down() -> Iterator[None]:
    """Debian starts etcd and containerd as soon as they are installed; this says no, the way Debian asks for it."""
    if _NO_SERVICES.exists():
        yield
        return
    _NO_SERVICES.write_text("#!/bin/sh\nexit 101\n")
    _NO_SERVICES.chmod(0o755)
    try:
        yield
    finally:
        _NO_SERVICES.unlink()
