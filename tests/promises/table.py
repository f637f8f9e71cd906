"""The promises of docs/threat-model.md: what each is held up by, the tests that would fail, and what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "threat-model.md"

HEAD = "| promise | by | test | last result |\n|---|---|---|---|\n"

NEVER = "not run yet"


@dataclass(frozen=True)
class Promise:
    """One row. A test is a folder, a file, or a function of a file: `tests/unit/x.py::test_y`."""

    sentence: str
    by: str
    tests: tuple[str, ...]
    result: str

    def __str__(self) -> str:
        return f"| {self.sentence} | {self.by} | {', '.join(self.tests)} | {self.result} |"


def promise(row: str) -> Promise:
    """A row, read."""
    sentence, by, tests, result = (cell.strip() for cell in row.strip("|").split("|"))
    return Promise(sentence, by, tuple(tests.split(", ")), result)


def promises(page: str) -> list[Promise]:
    """All rows of all tables of the page."""
    return [promise(row) for table in page.split(HEAD)[1:] for row in table.split("\n\n")[0].strip().splitlines()]


def with_results(page: str, of: Iterable[Promise], outcomes: Mapping[str, str], day: date) -> str:
    """The page, with what came of the tests of some rows: by pytest's name of each, `passed`, `failed` or `skipped`."""
    for one in of:
        page = page.replace(str(one), str(Promise(one.sentence, one.by, one.tests, result(one, outcomes, day))))
    return page


def result(of: Promise, outcomes: Mapping[str, str], day: date) -> str:
    """What came of all tests of a promise, in the words of its cell."""
    counts = Counter(what for name, what in outcomes.items() if any(is_part(name, test) for test in of.tests))
    return f"{day}: {', '.join(f'{counts[what]} {what}' for what in sorted(counts))}" if counts else NEVER


def is_part(name: str, test: str) -> bool:
    """Whether pytest's name of a test is a promise's test, one of its cases, or lies in its file or folder."""
    return name == test or name.startswith((f"{test}/", f"{test}::", f"{test}["))
