"""The lock files: what is installed is what was tested, bit for bit, and for a reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]

PROJECT = (ROOT / "pyproject.toml").read_text()

LOCKS = {path.stem: path.read_text() for path in sorted((ROOT / "requirements").glob("*.lock"))}

PINNED = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[^ ;\\]+)(?: ; [^\\]+)?(?P<hashes>(?: \\\n    --hash=[^\n ]+)+)$"
)

IN_LOCK: Mapping[str, tuple[str, ...]] = {
    "worker": ("worker", "compile", "sharing"),
    "operator": ("operator",),
    "dev": ("worker", "compile", "sharing", "operator", "notebook", "cli"),
}
"""The extras of each lock, beside what every role needs."""


def entries(lock: str) -> Iterator[str]:
    """Each requirement with its hashes, without the remarks that say who asked for it."""
    lines = "\n".join(line for line in LOCKS[lock].splitlines() if not line.lstrip().startswith("#"))
    return iter(re.split(r"\n(?=\S)", lines.strip()))


def versions(lock: str) -> dict[str, str]:
    found = (PINNED.fullmatch(entry) for entry in entries(lock))
    return {match["name"]: match["version"] for match in found if match}


def test_the_locks_are_those_that_make_lock_writes() -> None:
    named = re.search(r"^LOCKS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named is not None
    assert set(named[1].split()) == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_each_requirement_is_one_version_with_hashes(lock: str) -> None:
    for entry in entries(lock):
        match = PINNED.fullmatch(entry)
        assert match, entry[:200]
        hashes = re.findall(r"--hash=(\S+)", match["hashes"])
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for one in hashes), entry[:200]


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_says_where_anything_comes_from(lock: str) -> None:
    """That is each machine's own matter; and a name with an address in its place would pass by the index."""
    assert not re.search(r"://| @ |--(?:index|extra-index|find-links|trusted)", LOCKS[lock])


@pytest.mark.parametrize("lock", sorted(set(LOCKS) - {"dev"}))
def test_what_is_shipped_has_the_versions_that_are_tested(lock: str) -> None:
    tested = versions("dev")
    shipped = versions(lock)
    assert {name: version for name, version in shipped.items() if tested.get(name, version) != version} == {}
    if lock in ("client", "worker", "operator"):
        assert set(shipped) <= set(tested)


@pytest.mark.parametrize("lock", IN_LOCK)
def test_the_locks_meet_what_the_project_asks_for(lock: str) -> None:
    project = tomllib.loads(PROJECT)["project"]
    asked = [*project["dependencies"], *chain(*(project["optional-dependencies"][extra] for extra in IN_LOCK[lock]))]
    locked = versions(lock)
    for requirement in map(Requirement, asked):
        if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"}):
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), str(requirement)


def test_each_dependency_stands_below_the_reason_for_it() -> None:
    """In a comment; two may share one."""
    without, seen = 0, 0
    for line in re.sub(r"(?s)\[tool\..*", "", PROJECT).splitlines():
        if line.strip().startswith("#"):
            without = 0
        elif re.match(r'\s+"[A-Za-z0-9_-]+[<>=!~]=?[^"]*",$', line):
            without, seen = without + 1, seen + 1
            assert without <= 2, f"write a comment above {line.strip()} that says why it is needed"
        elif line.endswith("= ["):
            without = 2
    assert seen >= 30
