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
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

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


class Interrupted(Exception):
    """Ctrl-C."""


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
        said = _unbroken(trees[0], mutants, options.limit)
        if said is not None:
            return _error(f"the tests do not pass without any breakage, so they show nothing:\n{said}")
        rows = _run(trees, mutants, options.limit)
    except (KeyboardInterrupt, Interrupted):
        return _error("interrupted", 130)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return _report(rows)


def _unbroken(tree: Tree, mutants: Sequence[Mutant], limit_s: float) -> str | None:
    """Run all tests in the tree as it is; what pytest said if not all pass: then no failure would show anything."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    _say(f"{len(mutants)} mutants; first their {len(tests)} tests without any of them")
    try:
        code, said = tree.run(tests, 10 * limit_s)
    except KeyboardInterrupt:
        tree.stop()
        raise
    return None if code == 0 else _last(said)


def _run(trees: Sequence[Tree], mutants: Sequence[Mutant], limit_s: float) -> list[Row]:
    free: queue.SimpleQueue[Tree] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mutant: Mutant) -> Row:
        tree = free.get()
        started = time.monotonic()
        try:
            outcome, said = tree.verdict(mutant, limit_s)
        finally:
            free.put(tree)
        return Row(mutant, outcome, time.monotonic() - started, said)

    with ThreadPoolExecutor(len(trees)) as pool:
        waiting = [pool.submit(one, mutant) for mutant in mutants]
        try:
            _tell(waiting)
        except KeyboardInterrupt:
            for future in waiting:
                future.cancel()
            for tree in trees:
                tree.stop()
            raise Interrupted from None
        return [future.result() for future in waiting]


def _tell(futures: Sequence[Future[Row]]) -> None:
    """A line for each mutant as it is done."""
    left, told = set(futures), 0
    while left:
        done, left = wait(left, return_when=FIRST_COMPLETED)
        for row in (future.result() for future in done):
            told += 1
            _say(f"[{told:3}/{len(futures)}] {row.outcome.value:8} {row.seconds:6.1f} s  {row.mutant.name}")


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
