"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar or a line break in a cell would end it."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """In the letters of code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def plain(text: str) -> str:
    """Words that are no markup, whatever stands in them: tags would be taken for HTML, stars for emphasis."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def linked(name: str, page: str, anchors: Iterable[str]) -> str:
    """A word in the letters of code, linked to its heading on a page if it has one there."""
    return f"[`{name}`]({page}#{name.lower()})" if name.lower() in set(anchors) else code(name)


def document(*blocks: str) -> str:
    """Blocks with a line between them; empty ones are left out."""
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip()) + "\n"
