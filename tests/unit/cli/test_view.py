"""What a run shows: golden texts of what is printed where there is no terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from triveni.cli import summary as summary_
from triveni.cli.inputs import Row
from triveni.cli.picture import draw, drawable
from triveni.cli.plain import NOT_INSTALLED
from triveni.cli.view import RunView
from triveni.controller.quota import Grant, Ledger, Report, charge
from triveni.local.events import (
    CompanionEnded,
    EpochBegan,
    EpochEnded,
    Event,
    Fetching,
    LogLine,
    Retrying,
    Said,
    Served,
    Serving,
    StepBegan,
    StepEnded,
    Summary,
)
from triveni.local.reports import WorkerReport

SQUARE = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]], np.float32)[:, :, None]


def shown(*events: Event, images: list[Row] | None = None, compare: bool = True) -> str:
    """What is printed for the events of a run, and at its end."""
    console = Console(file=io.StringIO(), width=200)
    view = RunView(console, images or [], compare=compare)
    for event in events:
        view(event)
    view.finish()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_download_that_breaks_is_shown() -> None:
    assert shown(
        Fetching(1, 1_500_000, 3_000_000),
        Fetching(1, 1_500_000, None, "the connection broke"),
        StepEnded(1, "fetch the model", 2.5),
    ).splitlines() == [
        "  the connection broke after 1.5 MB; trying again",
        "  fetch the model                  2.5 s",
    ]


def secret(index: int, answer: list[float], seconds: float = 0.0123) -> Said:
    line = {"index": index, "input": f"d.npz[{index}]", "class": 0, "answer": answer, "seconds": seconds}
    return Said("client", json.dumps(line))


def plain(index: int, answer: list[float]) -> Said:
    return Said("keras", json.dumps({"index": index, "answer": answer}))


def reports(answered: int, epoch: int = 1) -> tuple[WorkerReport, ...]:
    receipt = {"erased_at": "12:00", "bytes_erased": 99}
    return tuple(
        WorkerReport(Report(epoch, p, answered, answered, "QuotaReached"), True, "", 1, 37, 1500, receipt)
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
        "Serving after 1.9 s. To ask: triveni predict --connection c.json FILE",
        "Served encrypted prediction 1 to client.",
        "Epoch 1 ended: a worker ended: worker 1",
        "Sharing again in a new epoch in 0.5 s",
        "Epoch 2: no limit granted",
        'worker 0: {"event": "listening"}',
    ]


def test_a_digit_is_shown_with_both_predictions_once_it_was_served() -> None:
    image = Row("d.npz[0]", SQUARE.repeat(4, 0), label="1")
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


def test_the_summary_says_everything() -> None:
    ledger = Ledger(3).start()
    first = (*reports(1)[:2], None)
    ledger = ledger.end([report.counts if report else None for report in first]).start()
    second = reports(2, epoch=2)
    ledger = ledger.end([report.counts for report in second])
    epochs = (EpochEnded(ledger.ended[0], first, ""), EpochEnded(ledger.ended[1], second, ""))
    status = {"latency_ms": {"p50": 7.25, "p95": 8.0, "p99": 9.0}}
    summary = Summary(ledger, 3, epochs, 12.34, (status, None, None))
    assert list(summary_.lines(summary, [0.011, 0.012, 0.02])) == [
        "Request quota reached: 3 answered in 12.3 s.",
        "  epoch 1: granted 3",
        "    worker 0: admitted 1, answered 1 (QuotaReached)",
        "    worker 1: admitted 1, answered 1 (QuotaReached)",
        "    worker 2: no report",
        "    charged 1: the most answer shares that a worker released",
        "  epoch 2: granted 2",
        "    worker 0: admitted 2, answered 2 (QuotaReached)",
        "    worker 1: admitted 2, answered 2 (QuotaReached)",
        "    worker 2: admitted 2, answered 2 (QuotaReached)",
        "    charged 2: the most answer shares that a worker released",
        "  charged in all: 3 of a quota of 3",
        "  latency, client    p50 12.0 ms, p95 20.0 ms, p99 20.0 ms (from the call to the answer)",
        "  latency, engine    p50 7.2 ms, p95 8.0 ms, p99 9.0 ms (from the last share to the answer)",
        "  rounds             74 in 2 runs",
        "  on the wire        0.01 MB between the workers that reported",
        *(f"  erased             worker {p} of epoch 1: 99 bytes at 12:00" for p in range(2)),
        *(f"  erased             worker {p} of epoch 2: 99 bytes at 12:00" for p in range(3)),
    ]


def test_a_worker_that_did_not_erase_is_named() -> None:
    counts = Report(1, 0, 0, 0, "EngineFailed")
    report = WorkerReport(counts, False, "", 0, 0, 0, None)
    ledger = Ledger(None).start().end([counts, None, None])
    summary = Summary(ledger, 0, (EpochEnded(ledger.ended[0], (report, None, None), ""),), 1.0, (None, None, None))
    assert list(summary_.lines(summary, []))[-1] == "  NOT ERASED         worker 0 of epoch 1, by its own word"


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [summary_.percentile(values, p) for p in (50, 95, 99)] == [50, 95, 99]
    assert summary_.percentile([7.0], 99) == 7.0
