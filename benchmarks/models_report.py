"""The table of models as Markdown, and the page that it stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.report import shown

BEGIN = "<!-- table: make bench-models -->"
END = "<!-- end of table -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One model in one protocol.

    `right_*` and `same_digit` are shares of the pictures. Bytes are those of all three workers for one row, counted by
    the program; `bytes_sent` is the workers' own count. Latencies are from the call of predict to revealed logits.
    """

    model: str
    protocol: str
    title: str
    parameters: int
    pictures: int
    right_plain: float
    right_secret: float
    same_digit: float
    difference_max: float
    rounds: int
    rounds_ahead: int
    bytes_online: int
    bytes_ahead: int
    bytes_sent: float
    latency_ms: float
    latency_p90_ms: float
    batch_ms_per_row: float
    compile_s: float


def markdown(rows: Sequence[Row], about: Mapping[str, Any], day: date) -> str:
    """Two tables, what the answers are and what they cost, and the machine that they were measured on."""
    pictures = max(row.pictures for row in rows)
    parts = [
        f"### Answers, {pictures} pictures each",
        _table(
            ["model", "weights", "plain Keras right", "protocol", "right", "same digit", "largest difference"],
            ":--|--:|--:|:--|--:|--:|--:",
            _grouped(rows, lambda row: [row.title, f"{row.parameters:,}", percent(row.right_plain)], _answers),
        ),
        "### Cost of one row",
        _table(
            ["model", "protocol", "rounds", "kB online", "kB ahead", "latency ms", "90 of 100", "ms a row in batches"],
            ":--|:--|--:|--:|--:|--:|--:|--:",
            _grouped(rows, lambda row: [row.title], _cost),
        ),
        f"Measured {day.isoformat()} in one run, on loopback with mutual TLS: {machine.line(about)}.",
    ]
    return "\n\n".join(parts)


def replace_table(page: Path, table: str, mark: str = BEGIN) -> None:
    """Put the table between the page's two marks; ValueError if it has not both."""
    before, begin, rest = page.read_text().partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} needs the lines {mark} and {END}")
    page.write_text(f"{before}{mark}\n\n{table}\n\n{END}{after}")


def percent(share: float) -> str:
    """With one decimal, unless it is exact without."""
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def _answers(row: Row) -> list[str]:
    return [row.protocol, percent(row.right_secret), percent(row.same_digit), f"{row.difference_max:.1e}"]


def _cost(row: Row) -> list[str]:
    return [
        row.protocol,
        f"{row.rounds}" + (f" + {row.rounds_ahead} ahead" if row.rounds_ahead else ""),
        f"{row.bytes_online / 1e3:,.0f}",
        f"{row.bytes_ahead / 1e3:,.0f}",
        shown(row.latency_ms),
        shown(row.latency_p90_ms),
        shown(row.batch_ms_per_row),
    ]


def _grouped(
    rows: Iterable[Row], common: Callable[[Row], list[str]], own: Callable[[Row], list[str]]
) -> Iterator[list[str]]:
    """Cells of each row; what a model's rows have in common stands in the first of them only."""
    for _, of_model in groupby(rows, key=lambda row: row.model):
        for number, row in enumerate(of_model):
            yield [cell if number == 0 else "" for cell in common(row)] + own(row)


def _table(titles: Sequence[str], alignment: str, rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([_line(titles), f"|{alignment}|", *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
