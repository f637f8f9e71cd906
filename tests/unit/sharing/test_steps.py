"""What the sharing job says while it works."""

from __future__ import annotations

import json
from typing import Any

import pytest

from triveni.sharing.steps import INTERVAL_S, Steps


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_download_is_told_now_and_then_and_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    steps = Steps(lambda: now)
    for done in range(1, 101):
        now += INTERVAL_S / 8
        steps.fetching(done, 100)
    told = [line["fetching"] for line in said(capsys)]
    assert [line["bytes"] for line in told] == [*range(1, 100, 8), 100]
    assert {line["total"] for line in told} == {100}


def test_a_step_is_told_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    now = 1.0
    steps = Steps(lambda: now)
    now = 3.5
    steps.done("fetched", {"bytes": 7})
    steps.trying_again("the connection broke", 5, 0.5)
    assert said(capsys) == [
        {"step": "fetched", "seconds": 2.5, "bytes": 7},
        {"trying again": {"problem": "the connection broke", "bytes": 5, "seconds": 0.5}},
    ]
    assert steps.seconds == 2.5
