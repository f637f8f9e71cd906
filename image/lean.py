"""Makes the root file system of the finished images out of the one that they are built on.

Python stays, with what it is linked with, certificates, time zones and who the user is: by the dependencies of
Debian's packages. What no process of ours needs goes: shells, package managers, Perl, everything with a setuid bit.
Runs while an image is built, with the Python of that image and nothing else:

    python3 lean.py ROOT PACKAGES       ROOT is made; PACKAGES becomes a JSON list of the packages that are in it
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

WANTED = ("base-files", "ca-certificates", "libstdc++6", "python3", "tzdata")
"""What an image is for; libstdc++6 is TensorFlow's. What these depend on comes along."""

LEFT_OUT = frozenset({"debconf", "dpkg", "libc-bin", "perl-base", "tar"})
"""What only installing packages needs, and so neither these nor what they depend on."""

PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/lib/ssl/misc", "/etc/update-motd.d")
"""Where there is nothing but programs; of these only Python stays."""

MADE = (
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/certs",
)
"""What belongs to no package, or to one that is left out, and is needed all the same."""

EMPTY = {"dev": 0o755, "proc": 0o755, "run": 0o755, "sys": 0o755, "tmp": 0o1777, "var/tmp": 0o1777}

STATUS = Path("/var/lib/dpkg/status")
FILES = Path("/var/lib/dpkg/info")

Package = Mapping[str, str]


def main(root: Path, packages: Path) -> None:
    """Make the root file system, and say what is in it."""
    installed = {package["Package"]: package for package in parsed(STATUS.read_text())}
    needed = closure(WANTED, installed)
    for path in sorted({Path(MOVED.sub(r"/usr\g<0>", line)) for name in needed for line in files_of(name, installed)}):
        if belongs(path):
            put(path, root)
    for made in map(Path, MADE):
        for path in [made, *sorted(made.rglob("*"))] if made.is_dir() else [made]:
            if path.exists():
                put(path, root)
    for link in ("bin", "lib", "lib64", "sbin"):
        if Path("/", link).is_symlink():
            put(Path("/", link), root)
    for name, mode in EMPTY.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(mode)
    packages.write_text(json.dumps([installed[name] for name in sorted(needed)]))


MOVED = re.compile("^/(?:bin|lib(?:32|64|x32)?|sbin)(?=/)")
"""Debian's packages name files by links at the top, which lead into /usr."""


def parsed(status: str) -> Iterator[Package]:
    """The installed packages of dpkg's status file, with the fields that are of use."""
    fields = ("Package", "Version", "Architecture", "Source", "Depends", "Pre-Depends")
    for paragraph in status.split("\n\n"):
        package = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if package.get("Status", "").endswith(" installed"):
            yield {field: package[field] for field in fields if field in package}


def closure(names: Iterable[str], installed: Mapping[str, Package]) -> set[str]:
    """The packages of these names and all that they depend on, as far as they are installed and not left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name in LEFT_OUT or name not in installed:
            continue
        found.add(name)
        depends = ",".join(installed[name].get(field, "") for field in ("Depends", "Pre-Depends"))
        waiting += re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", depends)
    return found


def files_of(name: str, installed: Mapping[str, Package]) -> list[str]:
    """The paths of a package."""
    lists = (FILES / f"{name}.list", FILES / f"{name}:{installed[name]['Architecture']}.list")
    return next(path for path in lists if path.exists()).read_text().splitlines()


def belongs(path: Path) -> bool:
    """Whether a path of a package is in the finished images. Licences are; a slim Debian has no other documentation."""
    if path.is_dir() and not path.is_symlink():
        return not path.is_relative_to("/usr/share/doc") or (path / "copyright").exists()
    if not path.is_symlink() and not path.exists():
        return False
    programs = any(path.is_relative_to(folder) for folder in PROGRAMS)
    return not programs or (path.parent == Path("/usr/bin") and re.fullmatch(r"python3(\.\d+)?", path.name) is not None)


def put(path: Path, root: Path) -> None:
    """Copy a file, a link or an empty directory with its mode, but never the bits that lend somebody's rights."""
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        if not target.is_symlink():
            target.symlink_to(os.readlink(path))
    elif path.is_dir():
        target.mkdir(exist_ok=True)
        target.chmod(stat.S_IMODE(path.stat().st_mode) & ~(stat.S_ISUID | stat.S_ISGID))
    else:
        shutil.copy2(path, target)
        target.chmod(stat.S_IMODE(path.stat().st_mode) & ~(stat.S_ISUID | stat.S_ISGID))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
