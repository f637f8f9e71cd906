"""A mutant: one text of one file replaced by another, what a user would lose, and the tests that have to fail.

The lists are the TOML files beside this one. Nothing here touches a file of the checkout.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

LISTS = Path(__file__).parent


@dataclass(eq=False)
class Stale(ValueError):
    """A mutant that does not belong to this tree any more."""

    mutant: str
    problem: str

    def __str__(self) -> str:
        return f"mutant {self.mutant!r}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One breakage.

    Attributes:
        name: what is broken, in words.
        file: from the root of the tree.
        old: the text that is replaced; it stands in the file exactly once.
        new: what is put there.
        loses: what a user would lose.
        tests: node ids, without parameters; each of them has to fail.
    """

    name: str
    file: str
    old: str
    new: str
    loses: str
    tests: tuple[str, ...]

    def broken(self, source: str) -> str:
        """The file's text with the breakage in it; Stale if it does not fit there."""
        found = source.count(self.old)
        if found != 1:
            raise Stale(self.name, f"its old text stands in {self.file} {found} times, not once; write it anew")
        return source.replace(self.old, self.new)


def read(directory: Path = LISTS) -> list[Mutant]:
    """All mutants of the lists in a directory, in the order of files."""
    tables = [table for path in sorted(directory.glob("*.toml")) for table in tomllib.loads(path.read_text())["mutant"]]
    return [Mutant(**table | {"tests": tuple(table["tests"])}) for table in tables]
