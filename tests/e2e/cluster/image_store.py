"""Images, unpacked once and hard-linked into every node: much faster than loading them into running nodes.

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
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import archive, progress
from tests.e2e.cluster.appearing import appearing, locked
from tests.e2e.cluster.archive import Archive
from tests.e2e.cluster.commands import Argument, CommandFailed, run, until
from tests.e2e.cluster.places import cache
from tests.e2e.cluster.processes import Process

KEPT = 6
"""Stores that stay. Most of what they hold is shared among them by hard links."""

INVENTORY = "images.json"
"""Beside a containerd root: what it holds, as the identity and the layers of each image."""

Inventory = dict[str, list[str]]


def store(images: Sequence[Archive], log: Path) -> Path:
    """The store that holds exactly these images."""
    wanted = sorted((image.name, image.identity) for image in images)
    name = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:12]
    stores = cache() / "stores"
    with locked(cache() / "stores.lock"):
        if not (stores / name).exists():
            with progress.step("unpacking images"), appearing(stores / name) as unfinished:
                _fill(unfinished, images, stores, log)
        os.utime(stores / name)
        for old in _by_age(stores)[:-KEPT]:
            shutil.rmtree(old)
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


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a containerd lacks, as thin archives, and the names of the images whose layers these leave out."""

    archives: list[Path]
    held: list[str]

    def to(self, *ctr: Argument, directory: Path = Path("/"), seen_at: str = "/") -> None:
        """Import with this `ctr` command, which sees `directory` at `seen_at`.

        An image that is replaced under its name is kept under another until all are in: the garbage collector would
        not wait with its layers.
        """
        if not self.archives:
            return
        before = [f"{name}-before" for name in self.held]
        for name, kept in zip(self.held, before, strict=True):
            run(*ctr, "images", "tag", "--force", name, kept)
        for file in self.archives:
            run(*ctr, "images", "import", Path(seen_at) / file.relative_to(directory))
        if before:
            run(*ctr, "images", "rm", "--sync", *before)


@contextmanager
def delivery(images: Sequence[Archive], inventory: Path) -> Iterator[Delivery]:
    """What is to be imported where `inventory` says what is there; after the block it says that this is there too."""
    held = _inventory(inventory)
    known = _layers(held)
    wanted: Inventory = {image.name: [image.identity, *image.layers] for image in images}
    with tempfile.TemporaryDirectory(prefix="images-", dir=inventory.parent) as directory:
        thin = []
        for number, image in enumerate(images):
            if wanted[image.name] != held.get(image.name):
                thin.append(Path(directory) / f"{number}.tar")
                archive.write_thin(image, known, thin[-1])
        yield Delivery(thin, list(held))
    inventory.write_text(json.dumps(held | wanted, indent=1))


def _fill(at: Path, images: Sequence[Archive], stores: Path, log: Path) -> None:
    """Begin with a copy of the store that has most of it, import what that lacks, remove what is not wanted."""
    layers = {layer for image in images for layer in image.layers}
    base = max(_by_age(stores), key=lambda found: len(layers & _layers(_inventory(found / INVENTORY))), default=None)
    inventory = at / INVENTORY
    if base:
        link(base, at / "root")
        shutil.copy2(base / INVENTORY, inventory)
    with _containerd(at, log) as ctr:
        with delivery(images, inventory) as delivered:
            delivered.to(*ctr)
        held = _inventory(inventory)
        unwanted = held.keys() - {image.name for image in images}
        if unwanted:
            run(*ctr, "images", "rm", "--sync", *unwanted)
        inventory.write_text(json.dumps({name: held[name] for name in held.keys() - unwanted}, indent=1))


@contextmanager
def _containerd(at: Path, log: Path) -> Iterator[tuple[str, ...]]:
    """A containerd over the root in `at`; the command that talks to it."""
    socket, configuration = at / "socket", at / "containerd.toml"
    configuration.write_text(
        f'version = 2\nroot = "{at}/root"\nstate = "{at}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
    )
    # In namespaces of its own: it leaves no mount behind, whenever it is killed.
    alone = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL")
    with log.open("ab") as out:
        command = ["setpriv", "--pdeathsig", "KILL", *alone, "containerd", "--config", str(configuration)]
        outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until(socket.exists, 30, "the start of containerd", look=log)
        yield "ctr", "--address", str(socket), "--namespace", "k8s.io"
    finally:
        process = Process.of(outer.pid)
        first = process.child() if process else None
        if first:
            first.end(signal.SIGTERM)
        else:
            outer.kill()
        outer.wait()
    for leftover in (socket, at / "socket.ttrpc", configuration):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(at / "state", ignore_errors=True)


def _inventory(file: Path) -> Inventory:
    return json.loads(file.read_text()) if file.exists() else {}


def _layers(inventory: Inventory) -> set[str]:
    return {layer for _, *layers in inventory.values() for layer in layers}


def _by_age(stores: Path) -> list[Path]:
    found = (inventory.parent for inventory in stores.glob(f"[!.]*/{INVENTORY}"))
    return sorted(found, key=lambda directory: directory.stat().st_mtime)
