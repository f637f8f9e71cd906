"""What a run shows: golden texts of what is printed where there is no terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from triveni.cli import summary as summary_
from triveni.cli.images import Image
from triveni.cli.picture import draw, drawable
from triveni.cli.plain import NOT_INSTALLED
from triveni.cli.view import RunView
from triveni.controller.quota import Grant, Report, charge
from triveni.local.events import (
    CompanionEnded,
    EpochBegan,
    EpochEnded,
    Event,
    LogLine,
    Retrying,
    Said,
    Served,
    Serving,
    StepBegan,
    StepEnded,
)
from triveni.local.reports import WorkerReport

SQUARE = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]], np.float32)[:, :, None]


def shown(*events: Event, images: list[Image] | None = None, compare: bool = True) -> str:
    """What is printed for the events of a run, and at its end."""
    console = Console(file=io.StringIO(), width=200)
    view = RunView(console, images or [], compare=compare)
    for event in events:
        view(event)
    view.finish()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def secret(index: int, answer: list[float], seconds: float = 0.0123) -> Said:
    line = {"index": index, "image": f"d.npz[{index}]", "class": 0, "answer": answer, "seconds": seconds}
    return Said("client", json.dumps(line))


def plain(index: int, answer: list[float]) -> Said:
    return Said("keras", json.dumps({"index": index, "answer": answer}))


def reports(answered: int, epoch: int = 1) -> tuple[WorkerReport, ...]:
    receipt = {"erased_at": "12:00", "bytes_erased": 99}
    return tuple(
        WorkerReport(Report(epoch, p, answered, answered, "QuotaReached"), True, "", 37, 1500, receipt)
        for p in range(3)
    )


def test_an_epoch_is_shown_step_by_step() -> None:
    counts = reports(2)
    text = shown(
        EpochBegan(1, 3),
        StepBegan(1, "start three workers"),
        StepEnded(1, "start three workers", 0.84),
        Serving(1, Path("c.json"), 1.94),
        Served(1),
        EpochEnded(charge(Grant(1, 3), [report.counts for report in counts]), counts, "a worker ended: worker 1"),
        Retrying(0.5),
        EpochBegan(2, None),
        LogLine("worker 0", '{"event": "listening"}'),
    )
    assert text.splitlines() == [
        "Epoch 1: 3 requests granted",
        "  start three workers              0.8 s",
        "Serving after 1.9 s. To ask: triveni predict --connection c.json IMAGE",
        "Served encrypted prediction 1 to client.",
        "Epoch 1 ended: a worker ended: worker 1",
        "Sharing again in a new epoch in 0.5 s",
        "Epoch 2: no limit granted",
        'worker 0: {"event": "listening"}',
    ]


def test_a_digit_is_shown_with_both_predictions_once_it_was_served() -> None:
    image = Image("d.npz[0]", SQUARE.repeat(4, 0), label=1)
    text = shown(secret(0, [0.25, 2.0]), plain(0, [0.25, 2.0001]), Served(1), images=[image])
    assert [line.rstrip() for line in text.splitlines()] == [
        "Served encrypted prediction 1 to client.",
        "    ██   d.npz[0], a 1",
        "    ██   secret prediction  1",
        "   ██    plain Keras        1",
        "   ██    largest difference of a logit 1.0e-04",
        "  ████   12.3 ms",
        "  ████",
    ]


def test_a_prediction_waits_for_plain_keras_and_no_longer() -> None:
    lines = shown(Served(1), secret(0, [1.0, 0.0]), Served(2), plain(0, [1.0, 0.0])).splitlines()
    assert lines[:2] == ["Served encrypted prediction 1 to client.", "Served encrypted prediction 2 to client."]
    assert lines[2].startswith("  d.npz[0], secret prediction  0, plain Keras        0, largest difference")


def test_without_tensorflow_it_says_so_and_goes_on() -> None:
    lines = shown(CompanionEnded("keras", NOT_INSTALLED, ""), Served(1), secret(0, [1.0, 0.0])).splitlines()
    assert lines == [
        "Plain Keras is not compared: TensorFlow is not installed here",
        "Served encrypted prediction 1 to client.",
        "  d.npz[0], secret prediction  0, 12.3 ms",
    ]


def test_what_still_waits_at_the_end_is_shown() -> None:
    assert "secret prediction  1" in shown(secret(0, [0.0, 1.0]))


def test_a_picture_is_half_blocks() -> None:
    brightness = drawable(SQUARE)
    assert brightness is not None
    assert [row.plain for row in draw(brightness, colour=False)] == [" ▄█▀", "▀▀▀▀"]
    assert [row.plain for row in draw(brightness, colour=True)] == ["▀▀▀▀", "▀▀▀▀"]


def test_what_is_no_small_image_is_not_drawn() -> None:
    assert drawable(np.zeros(10)) is None
    assert drawable(np.zeros((100, 100))) is None


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [summary_.percentile(values, p) for p in (50, 95, 99)] == [50, 95, 99]
    assert summary_.percentile([7.0], 99) == 7.0
