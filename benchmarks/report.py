"""Shows the figures, and writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.figures import FIGURES, TARGETS


def table(figures: Mapping[str, float], *, targets: bool = True) -> Table:
    """Figure, measured, target, ratio of the two; what misses its target is marked."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    result.add_column("figure")
    for title in ("measured", "target", "ratio"):
        result.add_column(title, justify="right")
    result.add_column("what it is", style="dim")
    for name, meaning in FIGURES.items():
        value, target = figures[name], TARGETS.get(name) if targets else None
        style = "" if target is None else "green" if target.met(value) else "bold red"
        ratio = f"{value / target.value:.2f}" if target else ""
        result.add_row(name, Text(shown(value), style), str(target or ""), Text(ratio, style), meaning)
    return result


def shown(value: float) -> str:
    """Three significant digits, whole numbers as they are."""
    return f"{value:.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"


def missed(figures: Mapping[str, float]) -> Iterator[str]:
    """A line for each target that is missed."""
    for name, target in TARGETS.items():
        if not target.met(figures[name]):
            yield f"{name} is {shown(figures[name])}, target {target}"


def document(
    figures: Mapping[str, float], machine: Mapping[str, Any], settings: Mapping[str, Any], *, targets: bool = True
) -> Mapping[str, Any]:
    """What is written; without `targets`, nothing is judged."""
    judged = {
        "targets": {name: {"value": t.value, "at_least": t.at_least} for name, t in TARGETS.items()},
        "missed": list(missed(figures)),
    }
    return {
        "figures": {name: round(figures[name], 5) for name in FIGURES},
        **(judged if targets else {}),
        "machine": machine,
        "settings": settings,
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write the document as JSON; the directory is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
