"""Image archives, unpacked once and hard-linked into every node: much faster than loading them into running nodes.

A store is a containerd root directory in the cache, named by what is in it. containerd never writes into a blob or a
layer once it is stored, only into its databases, so everything but those may be shared by hard links.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.cluster import progress
from tests.e2e.cluster.appearing import appearing, locked
from tests.e2e.cluster.commands import CommandFailed, run, until
from tests.e2e.cluster.places import cache
from tests.e2e.cluster.processes import Process

KEPT = 3
"""Stores that stay: a gigabyte each, most of it shared by hard links with the one before."""


def store(archives: Sequence[Path], logs: Path) -> Path:
    """The store that holds exactly the images of these archives."""
    wanted = {str(archive): _mark(archive) for archive in archives}
    name = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    stores = cache() / "stores"
    with locked(cache() / "stores.lock"):
        if not (stores / name).exists():
            with progress.step("unpacking images"), appearing(stores / name) as unfinished:
                _fill(unfinished, wanted, stores, logs)
        os.utime(stores / name)
        _prune(stores)
    return stores / name


def link(source: Path, to: Path) -> None:
    """A containerd root at `to`, with the images of the store `source`."""
    try:
        run("cp", "--archive", "--link", source / "root", to)
    except CommandFailed:
        # Another file system: no links across.
        shutil.rmtree(to, ignore_errors=True)
        run("cp", "--archive", "--reflink=auto", source / "root", to)
    for database in to.rglob("*.db"):
        database.unlink()
        shutil.copy2(source / "root" / database.relative_to(to), database)


def _mark(archive: Path) -> str:
    """An archive's size and time: it was named by its content when it was made."""
    stat = archive.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _fill(at: Path, wanted: dict[str, str], stores: Path, logs: Path) -> None:
    """Import what the latest store lacks; what only that one has, containerd's garbage collector removes."""
    before: dict[str, str] = {}
    latest = max(_stores(stores), key=lambda found: found.stat().st_mtime, default=None)
    if latest:
        before = json.loads((latest / "archives.json").read_text())
    if latest and before.items() & wanted.items():
        link(latest, at / "root")
    else:
        before = {}
    socket, log = at / "socket", logs / "image-store.log"
    configuration = at / "containerd.toml"
    configuration.write_text(
        f'version = 2\nroot = "{at}/root"\nstate = "{at}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
    )
    # In namespaces of its own: it leaves no mount behind, whenever it is killed.
    alone = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL")
    with log.open("ab") as out:
        containerd = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *alone, "containerd", "--config", str(configuration)],
            stdout=out,
            stderr=out,
        )
    ctr = ("ctr", "--address", socket, "--namespace", "k8s.io")
    try:
        until(socket.exists, 30, "the start of containerd", look=log)
        for archive in wanted.items() - before.items():
            run(*ctr, "images", "import", archive[0])
    finally:
        _end(containerd)
    for leftover in (socket, at / "socket.ttrpc"):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(at / "state", ignore_errors=True)
    (at / "archives.json").write_text(json.dumps(wanted, indent=1))


def _end(outer: subprocess.Popen[bytes]) -> None:
    """Let containerd, the first process of its namespaces, end in good order; what started it ends with it."""
    process = Process.of(outer.pid)
    first = process.child() if process else None
    if first:
        first.end(signal.SIGTERM)
    else:
        outer.kill()
    outer.wait()


def _stores(at: Path) -> list[Path]:
    return [found.parent for found in at.glob("[!.]*/archives.json")]


def _prune(stores: Path) -> None:
    for old in sorted(_stores(stores), key=lambda found: found.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)
