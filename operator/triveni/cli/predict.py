"""`triveni predict`: asks for the prediction of each row, in order, and prints it as it comes."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from triveni.cli.answers import class_of, numbers, read_labels, require_fit
from triveni.cli.errors import CommandFailed, bad_input
from triveni.cli.exit_codes import QUOTA_REACHED
from triveni.cli.formats import FORMATS
from triveni.cli.inputs import Row, load, rows_of
from triveni.cli.output import Screen, bar, columns, json_line, progress, screen
from triveni.cli.targets import Place, TargetOptions, connected
from triveni.client import AsyncClient, QuotaReached

HEAD = ("INPUT", "CLASS", "TIME", "ANSWER")

TIME = "1000.0 ms"
"""As wide as most times are."""

Answer = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: where, and files, after the name of a SecureModel if it is in a cluster."""

    arguments: Sequence[str]
    target: TargetOptions = field(default_factory=TargetOptions)
    as_json: bool = False
    output: Path | None = None
    labels: str | None = None
    batch: int = 1
    timeout: float = 60.0
    until_quota: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for a row; `seconds` are those of the call that it was in."""

    index: int
    row: Row
    answer: Answer
    seconds: float

    def document(self, labels: Sequence[str]) -> dict[str, Any]:
        """As JSON."""
        most = class_of(self.answer)
        return {
            "index": self.index,
            "input": self.row.name,
            "class": most,
            "label": labels[most] if labels and most is not None else None,
            "expected": self.row.label,
            "answer": self.answer.tolist(),
            "seconds": round(self.seconds, 6),
        }


@dataclass
class Asked:
    """How far it is."""

    rows: int = 0
    answers: list[Answer] = field(default_factory=list)


def predict(options: Options) -> None:
    """Predict every row, or all of them again and again until the quota is reached.

    Raises:
        CommandFailed: about what was given.
        ClientError: in the client's words.
    """
    place, files = _source(options)
    if options.output is not None and options.output.suffix.lower() != ".npy":
        raise bad_input(f"--output: {options.output} does not end with .npy, the format that is written")
    labels = read_labels(options.labels) if options.labels is not None else []
    contents = load(files)  # what holds no numbers at all is told before anything is waited for
    rows_of(contents)
    asked = Asked()

    async def ask() -> None:
        async with connected(place) as connection, AsyncClient(connection, deadline=options.timeout) as client:
            with progress("looking for the workers"):
                description = await client.describe()
            if labels:
                require_fit(labels, description.output_shape)
            rows = rows_of(contents, description.input_shape)
            asked.rows = len(rows)
            with _Show(options, labels, rows) as show:
                for chunk in _chunks(rows, options):
                    began = time.monotonic()
                    answers = await client.predict(np.stack([row.values for _, row in chunk]))
                    seconds = time.monotonic() - began
                    for (index, row), answer in zip(chunk, answers, strict=True):
                        asked.answers.append(answer)
                        show(Prediction(index, row, answer, seconds))

    try:
        asyncio.run(ask())
    except QuotaReached as error:
        if not options.until_quota or not asked.answers:
            said = f" ({len(asked.answers)} of {asked.rows} predicted)" if asked.rows else ""
            raise CommandFailed(f"{error}{said}", QUOTA_REACHED) from None
    finally:
        if options.output is not None and asked.answers:  # what was paid for is kept, whatever came next
            _save(options.output, asked.answers)


def _source(options: Options) -> tuple[Place, list[Path]]:
    """Where the workers are, and the files."""
    if options.target.connection is not None:
        return options.target.place(None, ""), [Path(argument) for argument in options.arguments]
    name, *files = options.arguments
    place = options.target.place(name, "predict NAME FILE")
    if not files:
        raise bad_input(f"no inputs for SecureModel {name}; give {FORMATS} files after its name, or - for stdin")
    return place, [Path(file) for file in files]


def _chunks(rows: Sequence[Row], options: Options) -> Iterator[list[tuple[int, Row]]]:
    numbered = list(enumerate(rows))
    chunks = [numbered[start : start + options.batch] for start in range(0, len(rows), options.batch)]
    yield from itertools.cycle(chunks) if options.until_quota else chunks


def _save(path: Path, answers: Sequence[Answer]) -> None:
    try:
        with path.open("wb") as file:
            np.save(file, np.stack(answers))
    except OSError as error:
        raise CommandFailed(f"--output: {path}: {error.strerror}") from None
    sys.stderr.write(f"{len(answers)} answers are in {path}, float64 of the shape {np.stack(answers).shape}\n")


class _Show:
    """Prints predictions as they come, in the form that was asked for."""

    def __init__(self, options: Options, labels: Sequence[str], rows: Sequence[Row]) -> None:
        self._options, self._labels = options, labels
        self._console: Screen | None = None
        self._widths = (max((len(row.name) for row in rows), default=0), max(map(len, labels), default=0), len(TIME))
        self._stack = ExitStack()
        self._advance: Callable[[], None] | None = None
        self._total = None if options.until_quota else len(rows)

    def __enter__(self) -> Self:
        if self._options.output is None and not self._options.as_json:
            self._console = screen()
        quiet = self._options.output is not None or not sys.stdout.isatty()
        if quiet:
            self._advance = self._stack.enter_context(bar("predicting", self._total))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def __call__(self, prediction: Prediction) -> None:
        if self._advance is not None:
            self._advance()
        if self._options.as_json:
            json_line(prediction.document(self._labels))
        elif self._console is not None:
            if prediction.index == 0:
                self._line(HEAD, "bold")
            document = prediction.document(self._labels)
            most = document["label"] or ("" if document["class"] is None else str(document["class"]))
            time_ = f"{prediction.seconds * 1000:.1f} ms"
            self._line((prediction.row.name, most, time_, numbers(prediction.answer)), "")

    def _line(self, cells: Sequence[str], style: str) -> None:
        assert self._console is not None
        (line,) = columns([cells], [max(len(h), w) for h, w in zip(HEAD, self._widths, strict=False)])
        self._console.print(Text(line, style))
