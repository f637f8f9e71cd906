"""``make mutants``: apply each breakage to a copy of the tree, and show which test catches it.

Exit code 0 if all are caught, 1 if one survives, 2 if the list does not fit the tree or its tests fail without any
breakage, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import queue
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.mutants.mutant import LISTS, ROOT, Mutant, Stale, read
from tests.mutants.outcome import Outcome
from tests.mutants.tree import Tree

LAST_LINES = 40
"""Of what pytest said, for a mutant that was not caught."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one mutant."""

    mutant: Mutant
    outcome: Outcome
    seconds: float
    said: str


Work = TypeVar("Work")
Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants; the exit code."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("-k", default="", metavar="TEXT", help="only mutants with this in their name, file or tests")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time (%(default)s)")
    parser.add_argument("--limit", type=float, default=300, metavar="SECONDS", help="for each (%(default)g)")
    parser.add_argument("--lists", type=Path, default=LISTS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    mutants = [m for m in read(options.lists) if options.k in "\n".join((m.name, m.file, *m.tests))]
    if not mutants:
        return _error(f"no mutant has {options.k!r} in its name, file or tests")
    try:
        for mutant in mutants:
            mutant.broken((options.root / mutant.file).read_text())
    except Stale as error:
        return _error(str(error))
    jobs = max(1, min(options.jobs, len(mutants)))
    directory = Path(tempfile.mkdtemp(prefix="triveni-mutants-"))
    try:
        trees = [Tree(directory / str(number), options.root) for number in range(jobs)]
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        _say(f"{len(mutants)} mutants; first their {len(tests)} tests without any of them")
        for code, said in _together(trees, _parts(tests, jobs), lambda tree, part: tree.run(part, 10 * options.limit)):
            if code != 0:
                return _error(f"the tests do not pass without any breakage, so they show nothing:\n{_last(said)}")
        rows = _together(trees, mutants, lambda tree, mutant: _row(tree, mutant, options.limit), _tell)
    except KeyboardInterrupt:
        return _error("interrupted", 130)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return _report(rows)


def _parts(tests: Sequence[str], count: int) -> list[Sequence[str]]:
    """The tests in at most so many parts; those of one file stay together as far as they can."""
    size = -(-len(tests) // count)
    return [tests[start : start + size] for start in range(0, len(tests), size)]


def _row(tree: Tree, mutant: Mutant, limit_s: float) -> Row:
    started = time.monotonic()
    outcome, said = tree.verdict(mutant, limit_s)
    return Row(mutant, outcome, time.monotonic() - started, said)


def _together(
    trees: Sequence[Tree],
    work: Sequence[Work],
    do: Callable[[Tree, Work], Result],
    tell: Callable[[int, int, Result], None] = lambda _number, _of, _result: None,
) -> list[Result]:
    """Do each piece of work in some tree, as many at once as there are trees; the results in order.

    `tell` is told of each as it is done. Ctrl-C ends what runs.
    """
    free: queue.SimpleQueue[Tree] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(piece: Work) -> Result:
        tree = free.get()
        try:
            return do(tree, piece)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        futures = [pool.submit(one, piece) for piece in work]
        try:
            for number, future in enumerate(as_completed(futures), 1):
                tell(number, len(futures), future.result())
        except BaseException:
            for future in futures:
                future.cancel()
            for tree in trees:
                tree.stop()
            raise
    return [future.result() for future in futures]


def _tell(number: int, of: int, row: Row) -> None:
    _say(f"[{number:3}/{of}] {row.outcome.value:8} {row.seconds:6.1f} s  {row.mutant.name}")


def _report(rows: Sequence[Row]) -> int:
    _say(table(rows))
    bad = [row for row in rows if row.outcome is not Outcome.CAUGHT]
    for row in bad:
        _say(f"\n{row.outcome.value}: {row.mutant.name} ({row.mutant.file})\n{_last(row.said)}")
    _say(f"\n{len(rows) - len(bad)} of {len(rows)} mutants are caught")
    return 1 if bad else 0


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = ["", "| breakage | what a user would lose | caught by | seconds |", "|---|---|---|---|"]
    for row in rows:
        tests = ", ".join(row.mutant.tests) if row.outcome is Outcome.CAUGHT else f"**{row.outcome.value}**"
        lines.append(f"| {row.mutant.name} | {row.mutant.loses} | {tests} | {row.seconds:.1f} |")
    return "\n".join(lines)


def _last(said: str) -> str:
    return "\n".join(said.splitlines()[-LAST_LINES:])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _error(text: str, code: int = 2) -> int:
    sys.stderr.write(f"mutants: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
