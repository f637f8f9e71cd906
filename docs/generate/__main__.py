"""Make build/docs, which the site is built from: links to the pages of docs/, and the generated ones beside them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from docs.generate import chart, command_line, definition, errors, operator, python_api

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TARGET = ROOT / "build" / "docs"

WRITTEN = ("*.md", "*.svg", "*.css")
"""What is a page, or belongs to one."""

GENERATED = {
    "reference/securemodel.md": definition.page,
    "reference/command-line.md": command_line.page,
    "reference/python.md": python_api.page,
    "reference/chart.md": chart.page,
    "reference/operator.md": operator.page,
    "reference/errors.md": errors.page,
}

COPIED = {"changelog.md": "CHANGELOG.md", "security.md": "SECURITY.md"}
"""Pages of the site that lie at the root of the repository, where people look for them."""


LINK = re.compile(r"\[(?P<text>[^]]+)\]\((?P<target>[^)#:]+)[^):]*\)")


def main() -> None:
    """Write all of it anew."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for pattern in WRITTEN:
        for source in DOCS.rglob(pattern):
            target = TARGET / source.relative_to(DOCS)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text()
            inside = LINK.sub(lambda link, folder=source.parent: _inside(link, folder), text)
            if inside == text:
                target.symlink_to(source)  # so that a change is seen at once
            else:
                target.write_text(inside)
    for name, page in GENERATED.items():
        write(name, page())
    for name, source_name in COPIED.items():
        # Links are written as seen from the root.
        write(name, re.sub(r"\]\(docs/", "](", (ROOT / source_name).read_text()))


def _inside(link: re.Match[str], folder: Path) -> str:
    """The link, or its text alone if it leads out of docs/: the repository has such a page and the site has not."""
    return link[0] if (folder / link["target"]).resolve().is_relative_to(DOCS) else link["text"]


def write(name: str, text: str) -> None:
    """A page of the site."""
    target = TARGET / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
