"""The anchors of a page that people wrote: of its headings, as the site makes them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1]

HEADING = re.compile(r"^#{1,6} +(?P<text>.*?)(?: *\{#(?P<anchor>[^}]+)\})?$")
FENCE = re.compile(r"^ *(```+|~~~+)")


def anchors_of(page: str) -> list[str]:
    """The anchors of a page of docs/, in its order."""
    return [anchor for _, anchor in headings(page)]


def headings(page: str) -> list[tuple[str, str]]:
    """Text and anchor of each heading; what stands in a block of code is none."""
    found, inside = [], False
    for line in (DOCS / page).read_text().splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside and (match := HEADING.match(line)):
            found.append((match["text"], match["anchor"] or slug(match["text"])))
    return found


def slug(text: str) -> str:
    """As the site does it: small letters, nothing but letters, digits, hyphens and what stands for a space."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())
