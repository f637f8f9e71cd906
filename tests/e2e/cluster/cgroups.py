"""The control groups of a cluster: one for each node below one of its own, in every hierarchy that is mounted."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

from tests.e2e.cluster.commands import until


def group(directory: Path) -> str:
    """The name of a cluster's group: the same for as long as it lives in `directory`, and no other cluster's."""
    return f"triveni-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def hierarchies() -> list[Path]:
    """Where hierarchies are mounted: one for each controller (version 1), or one for all of them (version 2)."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def make(cluster: str, node: str) -> None:
    """Make a node's group, with whatever its pods need handed down to it."""
    roots = hierarchies()
    for root in roots:
        path = root / cluster / node
        path.mkdir(parents=True, exist_ok=True)
        if len(roots) == 1:
            for level in (root, root / cluster):
                controllers = (level / "cgroup.controllers").read_text().split()
                (level / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
            continue
        # Version 1: a new group may use no processor and no memory node before it is told which.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (root / name).exists():
                for level in (root / cluster, path):
                    (level / name).write_text((root / name).read_text())


def remove(*path: str) -> None:
    """Remove a group and those below it, once the last process in them has ended."""
    for root in hierarchies():
        for directory, _, _ in os.walk(root.joinpath(*path), topdown=False):
            until(partial(_removed, directory), 20, f"the end of the processes in {directory}", every=0.05)


def _removed(directory: str) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
