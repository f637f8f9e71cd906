"""A line of a log for people: time, event, fields. Every process of ours writes a JSON object a line. Pure."""

from __future__ import annotations

import json

from rich.text import Text

WHAT = ("event", "message", "step")
"""Keys of what happened; the first that is there."""

SAID_ELSEWHERE = frozenset({"time", "level", "logger", "namespace", "name", "uid", "party", "epoch", *WHAT})

STYLES = {"warning": "yellow", "error": "bold red", "critical": "bold red"}


def rendered(line: str) -> Text:
    """The line, or as it is if it is no JSON object."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return Text(line)
    if not isinstance(document, dict):
        return Text(line)
    time = str(document.get("time", ""))[11:23]
    level = str(document.get("level", "info"))
    what = next((str(document[key]) for key in WHAT if key in document), "")
    fields = " ".join(f"{key}={_short(value)}" for key, value in document.items() if key not in SAID_ELSEWHERE)
    loud = f"{level.upper()} " if level in STYLES else ""
    parts = [part for part in (time, f"{loud}{what}", fields) if part]
    return Text("  ".join(parts), STYLES.get(level, ""))


def _short(value: object) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value)
