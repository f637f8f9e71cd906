"""The base image where none can be pulled: made by debootstrap, under the name that the Dockerfile asks for."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.e2e.cluster import progress
from tests.e2e.cluster.commands import run
from tests.e2e.cluster.places import cache

NAME = "docker.io/library/debian:bookworm-slim"
_SUITE = "bookworm"

_UNUSED = ("doc", "man", "info", "locale", "lintian", "linda")

_DPKG = "\n".join(
    [
        *(f"path-exclude=/usr/share/{name}/*" for name in _UNUSED),
        "path-include=/usr/share/doc/*/copyright",
        "",
    ]
)


def make() -> None:
    """Make the base image and put it into buildah's storage."""
    cache().mkdir(parents=True, exist_ok=True)
    with (
        progress.step("making the base image with debootstrap"),
        tempfile.TemporaryDirectory(prefix="base-", dir=cache()) as directory,
    ):
        root = Path(directory) / "root"
        sources = _sources()
        mirror = next((source.split()[1] for source in sources if source.split()[2] == _SUITE), "")
        # It mounts /proc in there: in namespaces of its own, nothing of that is left whatever happens.
        alone = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL")
        run(*alone, "debootstrap", "--variant=minbase", _SUITE, root, *([mirror] if mirror else []))
        _clean(root, sources)
        run("tar", "--create", "--file", Path(directory) / "base.tar", "--directory", root, ".")
        (Path(directory) / "Dockerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["bash"]\n')
        run("buildah", "build", "--isolation", "chroot", "--tag", NAME, directory)


def _sources() -> list[str]:
    """This machine's own sources of that Debian: `deb URI SUITE COMPONENT`, updates among them; maybe none."""
    if not shutil.which("apt-get"):
        return []
    lines = run(
        "apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"
    )
    return sorted({line for line in lines.splitlines() if line.split()[2].startswith(_SUITE)})


def _clean(root: Path, sources: list[str]) -> None:
    """As slim as the image of that name: without documentation, now and in whatever is installed later."""
    if sources:
        (root / "etc/apt/sources.list").write_text("\n".join([*sources, ""]))
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(_DPKG)
    (root / "etc/apt/apt.conf.d/slim").write_text('Acquire::Languages "none";\nAPT::Install-Recommends "false";\n')
    for name in _UNUSED:
        for entry in (root / "usr/share" / name).glob("*"):
            if name == "doc":
                for file in entry.rglob("*"):
                    if not file.is_dir() and file.name != "copyright":
                        file.unlink()
            elif entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    for directory in ("var/lib/apt/lists", "var/cache/apt", "var/log"):
        for file in (root / directory).rglob("*"):
            if file.is_file():
                file.unlink()
