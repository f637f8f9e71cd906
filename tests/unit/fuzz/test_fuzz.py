"""A short run of `make fuzz`, in a process of its own; and that it finds what there is to find."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.fuzz import mutation
from tests.fuzz import run as module
from tests.fuzz.run import feed
from tests.fuzz.targets import ROOT, Target

INPUTS = 20_000


def test_every_parser_reads_or_refuses_what_it_is_fed() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", str(INPUTS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (inputs,) = re.findall(r"^([\d,]+) inputs of \d+ parsers", done.stdout, re.M)
    assert int(inputs.replace(",", "")) >= INPUTS


def bug(_random: Random) -> None:
    raise KeyError("boom")


def endless(_random: Random) -> None:
    while True:
        pass


def greedy(_random: Random) -> None:
    bytearray(module.MEMORY * 2)


@pytest.mark.parametrize(
    ("harm", "problem"), [(bug, "KeyError: \"'boom'\""), (endless, "longer than"), (greedy, "MemoryError")]
)
def test_a_parser_that_breaks_hangs_or_takes_all_memory_is_found(
    monkeypatch: pytest.MonkeyPatch, harm: Callable[[Random], None], problem: str
) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 0.2)
    result = feed(Target("it", harm, (ValueError,)), range(2), 1)
    assert [finding.number for finding in result.findings] == [0, 1]
    assert problem in result.findings[0].problem


def test_a_refusal_is_no_finding() -> None:
    def refuse(_random: Random) -> None:
        raise ValueError("no")

    result = feed(Target("it", refuse, (ValueError,)), range(3), 1)
    assert (result.inputs, result.read, result.findings, result.refused) == (3, 0, [], {"ValueError"})


def test_the_number_of_an_input_is_enough_to_make_it_again() -> None:
    seen: list[Any] = []
    target = Target("it", lambda random: seen.append(mutation.document(random, [{"a": [1, {"b": "c"}]}])))
    feed(target, range(50), 7)
    feed(target, [31], 7)
    assert repr(seen[31]) == repr(seen[50])
    assert len(set(map(repr, seen))) > 20
