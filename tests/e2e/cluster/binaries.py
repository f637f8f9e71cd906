"""The programs of the cluster, built once from Go modules whose content the go.sum files in `recipes` pin.

What is built together is one folder of the cache, named by a hash of all that decides the result, so that a new version
of one program does not build the others again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.cluster import archive, golang, progress
from tests.e2e.cluster.appearing import appearing, locked
from tests.e2e.cluster.commands import Argument, run, run_logged
from tests.e2e.cluster.places import cache

RECIPES = Path(__file__).parent / "recipes"
PAUSE_IMAGE = "localhost/pause:1"
COREDNS_IMAGE = "localhost/coredns:1"


def pinned(module: str, path: str) -> str:
    """The version (`v1.34.4`) at which a go.mod in `recipes` pins `path`."""
    found = re.search(
        rf"^(?:require )?\s*{re.escape(path)} (v\S+)", (RECIPES / module / "go.mod").read_text(), re.MULTILINE
    )
    assert found, f"{module}/go.mod does not name {path}"
    return found[1]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Packages of one Go module that are built together, each to a program."""

    name: str
    module: str
    packages: tuple[str, ...]
    flags: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    minutes: int = 1

    @property
    def directory(self) -> Path:
        """The folder of the cache that holds, or will hold, exactly this."""
        mark = hashlib.sha256(f"{self!r} {platform.machine()}".encode())
        for file in ("go.mod", "go.sum"):
            mark.update((RECIPES / self.module / file).read_bytes())
        return cache() / f"{self.name}-{mark.hexdigest()[:12]}"

    def build(self) -> Path:
        """Build it unless that has been done; its folder."""
        with locked(cache() / f"{self.name}.lock"):
            if not self.directory.exists():
                with (
                    progress.step(f"building {self.name} (once; about {self.minutes} min on two cores)"),
                    appearing(self.directory) as unfinished,
                ):
                    self._build(unfinished)
        return self.directory

    def _build(self, to: Path) -> None:
        environment = os.environ | {"GOFLAGS": "-mod=readonly -buildvcs=false"} | self.environment
        flags = " ".join(("-s", "-w", *self.flags))
        command: list[Argument] = [golang.go(), "build", "-ldflags", flags, "-o", f"{to}/", *self.packages]
        run_logged(cache() / f"{self.name}.log", *command, directory=RECIPES / self.module, env=environment)


def _kubernetes(name: str, *programs: str, minutes: int) -> Recipe:
    version = pinned("kubernetes", "k8s.io/kubernetes")
    major, minor, _ = version[1:].split(".")
    # Without these every component calls itself v0.0.0.
    flags = (("gitVersion", version), ("gitMajor", major), ("gitMinor", minor))
    return Recipe(
        name,
        "kubernetes",
        tuple(f"k8s.io/kubernetes/cmd/{program}" for program in programs),
        flags=tuple(f"-X k8s.io/component-base/version.{what}={value}" for what, value in flags),
        minutes=minutes,
    )


KUBERNETES = _kubernetes(
    "kubernetes",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    minutes=8,
)
KUBECTL = _kubernetes("kubectl", "kubectl", minutes=1)
COREDNS = Recipe(
    "coredns",
    "coredns",
    ("github.com/coredns/coredns",),
    environment={"CGO_ENABLED": "0"},  # static: it is the only file of its image
    minutes=3,
)
KUBE_ROUTER = Recipe(
    "kube-router", "kube-router", ("github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",), minutes=2
)
HELM = Recipe(
    "helm",
    "helm",
    ("helm.sh/helm/v3/cmd/helm",),
    flags=(f"-X helm.sh/helm/v3/internal/version.version={pinned('helm', 'helm.sh/helm/v3')}",),
)
VERSITYGW = Recipe("versitygw", "versitygw", ("github.com/versity/versitygw/cmd/versitygw",), minutes=3)
KIND = Recipe("kind", "kind", ("sigs.k8s.io/kind",))


def kubectl() -> Path:
    """The kubectl of the cluster's own version."""
    return KUBECTL.build() / "kubectl"


def helm() -> Path:
    """helm 3."""
    return HELM.build() / "helm"


def versitygw() -> Path:
    """A store that speaks the protocol of Amazon S3, over a directory."""
    return VERSITYGW.build() / "versitygw"


def kind() -> Path:
    """kind."""
    return KIND.build() / "kind"


def pause_image() -> Path:
    """An archive of the image whose container holds a pod's namespaces open."""
    source = RECIPES / "pause" / "pause.c"
    return _image(PAUSE_IMAGE, source, lambda to: run("gcc", "-static", "-O2", "-o", to, source))


def coredns_image() -> Path:
    """An archive of the image of the cluster's DNS."""
    source = COREDNS.build() / "coredns"
    return _image(COREDNS_IMAGE, source, lambda to: shutil.copy2(source, to))


def _image(name: str, source: Path, make: Callable[[Path], object]) -> Path:
    program = name.removeprefix("localhost/").split(":")[0]
    directory = cache() / f"{program}-image-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    with locked(cache() / f"{program}-image.lock"):
        if not directory.exists():
            with appearing(directory) as unfinished:
                make(unfinished / program)
                archive.write_program(name, unfinished / program, unfinished / f"{program}.tar")
                (unfinished / program).unlink()
    return directory / f"{program}.tar"
