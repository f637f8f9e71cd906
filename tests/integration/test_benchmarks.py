"""The benchmarks measure what they say, and all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.example import DIGITS, Example, WrongAnswer
from benchmarks.figures import FIGURES, TARGETS, Target
from benchmarks.floor import rounds
from benchmarks.models import require
from benchmarks.models_report import BEGIN, END, Row, markdown, percent, replace_table
from benchmarks.report import missed
from triveni.mpc.affine import ROWS
from triveni.mpc.program import PARTIES, Draw, Input, Node, Program
from triveni.mpc.schedule import Schedule

QUICK_S = 240


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `python -m benchmarks.run --quick` writes."""
    output = tmp_path_factory.mktemp("bench") / "made" / "bench.json"
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=QUICK_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(output.read_text())
    document["said"] = done.stdout
    return document


@pytest.fixture(scope="module")
def example() -> Example:
    return Example.read()


def test_a_quick_run_measures_every_figure(quick: dict[str, Any]) -> None:
    figures = quick["figures"]
    assert list(figures) == list(FIGURES)
    assert {name: value for name, value in figures.items() if not value > 0} == {}
    assert set(TARGETS) < set(FIGURES)


def test_a_quick_run_shows_every_figure_and_judges_none(quick: dict[str, Any]) -> None:
    shown = {line.split()[0] for line in quick["said"].splitlines() if line.strip()}
    assert set(FIGURES) <= shown
    assert "missed" not in quick


def test_figures_that_are_counted_meet_their_targets_however_quick_the_run(quick: dict[str, Any]) -> None:
    figures = quick["figures"]
    for name in ("rounds_b1", "megabytes_b1", "megabytes_b1_online"):
        assert TARGETS[name].met(figures[name]), name
    # One is the workers' own count of what they sent, the other is the program's.
    assert figures["megabytes_b1_online"] < figures["megabytes_b1"]


def test_a_run_says_on_which_machine_and_under_what_load(quick: dict[str, Any]) -> None:
    machine = quick["machine"]
    assert machine["cores"] >= 1
    assert isinstance(machine["kernel_native"], bool)
    assert len(machine["load_before"]) == len(machine["load_after"]) == 3


def test_the_plain_answers_are_right_on_97_of_100_digits(example: Example) -> None:
    with np.load(DIGITS) as file:
        assert (example.logits.argmax(axis=1) == file["labels"]).mean() >= 0.97


def test_an_answer_for_another_digit_is_noticed(example: Example) -> None:
    assert example.require([3, 4], example.logits[[3, 4]]) == 0
    with pytest.raises(WrongAnswer) as error:
        example.require([3, 4], example.logits[[3, 5]])
    assert error.value.row == 4


def test_an_answer_with_the_right_digit_but_other_logits_is_noticed(example: Example) -> None:
    with pytest.raises(WrongAnswer):
        example.require([3], example.logits[[3]] + 0.02)


def test_the_floor_sends_exactly_the_bytes_of_the_program() -> None:
    def draw(index: int, party: int) -> Node:
        return Node("draw", (), {}, (ROWS,), "i8", party, draw=Draw((0, 1), index))

    x = Node("input", (), {}, (ROWS,), "i8", 0, input=Input("x", 0))
    first = Node("add", (x, draw(0, 0)), {}, (ROWS,), "i8", 0)
    second = Node("add", (first, draw(1, 1)), {}, (ROWS,), "i8", 1)
    third = Node("add", (second, draw(2, 1)), {}, (ROWS,), "i8", 2)
    program = Program("ABY3", "", (), (), {}, tuple((node, node) for node in (first, second, third)))
    schedule = Schedule(program)
    cost = schedule.cost()
    parties = [schedule.party(party) for party in PARTIES]
    online = [rounds(party, 5, ahead=False) for party in parties]
    whole = [rounds(party, 5, ahead=True) for party in parties]
    sent = [sum(sum(r.sends.values()) for part in plan for r in part) for plan in (online, whole)]
    received = [sum(sum(r.receives.values()) for part in plan for r in part) for plan in (online, whole)]
    assert sent == received == [cost.online_bytes.at(5), cost.online_bytes.at(5) + cost.ahead_bytes.at(5)]
    assert cost.ahead_bytes.at(5) > 0


def test_a_target_is_missed_on_the_wrong_side_only() -> None:
    assert Target(8).met(8)
    assert not Target(8).met(8.1)
    assert Target(350, at_least=True).met(350)
    assert not Target(350, at_least=True).met(349)
    just_met = {name: target.value for name, target in TARGETS.items()}
    assert list(missed(just_met)) == []
    assert list(missed(just_met | {"engine_b1_ms": 9.0})) == ["engine_b1_ms is 9, target <= 8"]


def test_far_links_cost_each_protocol_half_a_round_trip_for_each_round(tmp_path: Path) -> None:
    output = tmp_path / "protocols.json"
    command = [sys.executable, "-m", "benchmarks.protocols", "--requests", "2", "--round-trips", "20"]
    done = subprocess.run(
        [*command, "--output", str(output)], capture_output=True, text=True, timeout=QUICK_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["protocol"]: one for one in json.loads(output.read_text())["latencies"]}
    assert {name: one["rounds"] for name, one in found.items()} == {"ABY3": 37, "SecureNN": 13}
    for one in found.values():
        assert one["engine_ms"] >= 10 * one["rounds"]
        assert one["logit_difference"] < 1e-2
    assert found["SecureNN"]["engine_ms"] < found["ABY3"]["engine_ms"]


ROW = Row("mlp", "ABY3", "MLP", 118_282, 200, 0.97, 0.965, 0.995, 2e-5, 30, 1, 61_400, 20_600, 82e3, 12.3, 20, 2.5, 9)
MACHINE = {"cpu": "a processor", "cores": 2, "kernel_native": True, "load_before": [0.1], "load_after": [1.2]}


def test_a_quick_comparison_of_a_model_writes_all_of_its_row_and_shows_the_table(tmp_path: Path) -> None:
    output, page = tmp_path / "models.json", tmp_path / "models.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    command = [sys.executable, "-m", "benchmarks.models", "--quick", "--model", "mlp", "--protocol", "ABY3"]
    command += ["--output", str(output), "--docs", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=QUICK_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(output.read_text())["rows"]
    assert list(row) == list(asdict(ROW))
    assert row["parameters"] == ROW.parameters
    assert row["same_digit"] == 1
    assert 0 < row["difference_max"] < 1e-2
    assert row["bytes_sent"] >= row["bytes_online"] + row["bytes_ahead"] > 0
    written = page.read_text()
    assert written.startswith(f"before\n{BEGIN}\n")
    assert written.endswith(f"{END}\nafter\n")
    assert "old" not in written
    assert done.stdout.count("| MLP |") == written.count("| MLP |") == 2


def test_the_table_says_what_a_models_rows_have_in_common_once() -> None:
    rows = [ROW, replace(ROW, protocol="SecureNN", rounds=13, rounds_ahead=0, same_digit=1.0)]
    lines = markdown(rows, MACHINE, date(2026, 1, 2)).splitlines()
    assert "| MLP | 118,282 | 97 % | ABY3 | 96.5 % | 99.5 % | 2.0e-05 |" in lines
    assert "|  |  |  | SecureNN | 96.5 % | 100 % | 2.0e-05 |" in lines
    assert "| MLP | ABY3 | 30 + 1 ahead | 61 | 21 | 12.3 | 20 | 2.5 |" in lines
    assert "Measured 2026-01-02 in one run" in lines[-1]
    assert "a processor, 2 cores, load 0.1 to 1.2" in lines[-1]


def test_a_page_without_a_place_for_the_table_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"a page\n{BEGIN}\n")
    with pytest.raises(ValueError, match="needs the lines"):
        replace_table(page, "table")
    assert page.read_text() == f"a page\n{BEGIN}\n"


def test_a_share_that_is_not_all_is_never_shown_as_all() -> None:
    assert [percent(share) for share in (1.0, 0.995, 0.97, 0)] == ["100 %", "99.5 %", "97 %", "0 %"]


def test_an_answer_of_a_model_that_is_far_from_the_plain_one_is_named_by_its_picture() -> None:
    plain = np.zeros((3, 10))
    assert require(plain, plain + 0.01, 0) == pytest.approx(0.01)
    for wrong in (0.06, np.nan):
        answers = plain.copy()
        answers[1, 3] = wrong
        with pytest.raises(WrongAnswer) as error:
            require(plain, answers, 5)
        assert error.value.row == 6
