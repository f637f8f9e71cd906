"""What the documentation tells its readers to do, step by step, in the order of each page.

Commands stand in ```console blocks, after `$ `; what they print follows, with `...` for what is left out. A command
that is meant to fail is announced by a comment before its block: `<!-- ends with 1 -->`. Python stands in ```python
blocks, and a block of another language with a title is a file of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)(?: +title=\"(?P<title>[^\"]+)\")?$")
EXPECTED = re.compile(r"<!-- ends with (?P<status>[0-9]+) -->")


@dataclass(frozen=True)
class Step:
    """One thing that a reader does: a command, a piece of Python, or a file that is written.

    `said` are the lines that the page shows as a command's output, `status` the exit code that it should have.
    """

    page: str
    line: int
    kind: Literal["command", "python", "file"]
    text: str
    said: Sequence[str] = ()
    status: int = 0
    file: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text.splitlines()[0]}"


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line of content."""

    line: int
    language: str
    title: str
    status: int
    lines: Sequence[str]


def pages() -> list[str]:
    """All pages that people read, as paths from the root."""
    found = ["README.md", "CONTRIBUTING.md", "charts/triveni/README.md", "examples/mnist/README.md"]
    return found + sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))


def steps(page: str) -> list[Step]:
    """The steps of a page, in order."""
    return list(_steps(page))


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    start, match, before, held = 0, None, "", list[str]()
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if match is None and (match := FENCE.match(line)):
            start, held = number + 1, []
        elif match is not None and line.strip() == "```":
            expected = EXPECTED.fullmatch(before.strip())
            status = int(expected["status"]) if expected else 0
            yield Block(start, match["language"], match["title"] or "", status, held)
            match, before = None, ""
        elif match is not None:
            held.append(line.removeprefix(match["indent"]))
        elif line.strip():
            before = line


def _steps(page: str) -> Iterator[Step]:
    for block in blocks(page):
        text = "\n".join(block.lines)
        if block.language == "console":
            yield from _commands(page, block)
        elif block.title:
            yield Step(page, block.line, "file", text, file=block.title)
        elif block.language == "python":
            yield Step(page, block.line, "python", text)


def _commands(page: str, block: Block) -> Iterator[Step]:
    command, said, start = list[str](), list[str](), 0
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            if command:
                yield Step(page, start, "command", "\n".join(command), tuple(said), block.status)
            command, said, start = [line.removeprefix("$ ")], [], number
        elif command and not said and command[-1].endswith("\\"):
            command.append(line)
        else:
            said.append(line)
    if command:
        yield Step(page, start, "command", "\n".join(command), tuple(said), block.status)
