"""How a command ends when something is wrong."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from triveni.cli import check
from triveni.cli.errors import CommandFailed, told
from triveni.cli.failures import failure_of
from triveni.cli.output import columns, json_line
from triveni.client import QuotaReached, WorkersUnreachable, WrongInput
from triveni.sharing.failures import UnsupportedLayer

REFUSED = [UnsupportedLayer(f"b{n}", "GRU is not served") for n in range(8)]

ENDS = [
    (CommandFailed("no", 1), 1, "triveni: no\n"),
    (WrongInput("input", "empty", "give some"), 2, "triveni: input is empty: give some\n"),
    (
        UnsupportedLayer("a", "LSTM is not served"),
        3,
        "triveni: refused (UnsupportedLayer): layer 'a': LSTM is not served\n",
    ),
    (QuotaReached("request quota reached"), 4, "triveni: request quota reached\n"),
    (WorkersUnreachable({}, 5), 5, "triveni: the workers did not serve within 5 s (no answer)\n"),
    (KeyboardInterrupt(), 130, "triveni: interrupted\n"),
]


@pytest.mark.parametrize(("error", "code", "said"), ENDS, ids=lambda value: type(value).__name__)
def test_each_kind_has_its_code_and_a_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, told():
        raise error
    assert (ended.value.exit_code, capsys.readouterr().err) == (code, said)


def test_all_layers_that_are_refused_are_told() -> None:
    error = UnsupportedLayer("a", "LSTM is not served", "leave it out", tuple(REFUSED))
    failure = failure_of(error)
    assert failure is not None
    assert str(failure).splitlines() == [
        "refused (UnsupportedLayer): 9 layers",
        "  layer 'a': LSTM is not served; leave it out",
        *(f"  layer 'b{n}': GRU is not served" for n in range(8)),
    ]
    document = check._refused(Path("m.keras"), error)
    assert [layer["name"] for layer in document["refused"]["layers"]] == ["a", *(f"b{n}" for n in range(8))]


def test_what_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), told():
        raise ZeroDivisionError


def test_an_end_that_a_command_chose_stays() -> None:
    with pytest.raises(typer.Exit) as ended, told():
        raise typer.Exit(3)
    assert ended.value.exit_code == 3


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    script = (
        "import typer\n"
        "from triveni.cli.errors import told\n"
        "from triveni.cli.output import json_line\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def talk() -> None:\n"
        "    with told():\n"
        "        while True:\n"
        "            json_line({'text': 'x' * 1000})\n"
        "app()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 141)


def test_progress_on_a_terminal_leaves_the_output_to_whoever_reads_it() -> None:
    script = (
        "from triveni.cli.output import bar, json_line, progress\n"
        "with progress('looking'):\n"
        "    pass\n"
        "with bar('asking', 2) as advance:\n"
        "    json_line({'n': 1})\n"
        "    advance()\n"
    )
    ours, theirs = pty.openpty()
    try:
        environment = os.environ | {"TERM": "xterm"}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, timeout=60, check=True)
        shown = os.read(ours, 1 << 16)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == b'{"n": 1}\n'
    assert b"asking" in shown


def test_columns_are_aligned_and_end_without_blanks() -> None:
    assert columns([["A", "B"], ["long", ""], ["x", "y"]]) == ["A      B", "long", "x      y"]
    assert columns([["a", "b"]], [3]) == ["a     b"]


def test_a_document_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    json_line({"a": [1, None]})
    assert capsys.readouterr().out == '{"a": [1, null]}\n'
