from __future__ import annotations

import re
import sys

import pytest
import yaml

from docs.generate import chart, command_line, definition, errors, operator
from tests.docs.pages import ROOT, Step, blocks, pages, steps
from tests.docs.places import NEEDS, NOT_RUN, Place, place, reason_not_to_run
from tests.docs.shell import differs
from triveni.api.securemodel import SecureModel

COMMAND = re.compile(r"^\s*(\$ )?(kubectl|helm|triveni|make|docker|curl|pip|\.venv/bin/\S+) \S")
"""What looks like a command at the start of a line."""


@pytest.mark.parametrize("page", pages())
def test_commands_stand_in_console_blocks_where_the_tests_find_them(page: str) -> None:
    shown = {n for b in blocks(page) for n in range(b.line, b.line + len(b.lines)) if b.language == "console"}
    stray = [
        f"{page}:{number}: {line}"
        for number, line in enumerate((ROOT / page).read_text().splitlines(), 1)
        if COMMAND.match(line) and line.startswith(("    ", "$ ")) and number not in shown
    ]
    assert not stray


def test_every_line_of_a_console_block_before_its_first_command_would_be_lost_so_there_is_none() -> None:
    assert not [
        f"{page}:{block.line}"
        for page in pages()
        for block in blocks(page)
        if block.language == "console" and not block.lines[0].startswith("$ ")
    ]


@pytest.mark.parametrize("page", pages())
def test_every_securemodel_in_the_docs_is_one_that_triveni_reads(page: str) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            for document in yaml.safe_load_all("\n".join(block.lines)):
                if isinstance(document, dict) and document.get("kind") == "SecureModel":
                    SecureModel.read(document)


def test_what_no_test_runs_is_listed_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = [step for page in pages() for step in steps(page) if place(step) is Place.NOWHERE]
    with capsys.disabled():
        sys.stdout.write("\n")
        for listed in NOT_RUN:
            commands = sorted(
                {step.text.partition(" #")[0].strip() for step in left_out if listed.command.match(step.text)}
            )
            assert commands, f"{listed.command.pattern} is in no page any more: drop it from the list"
            sys.stdout.write(f"docs: no test runs `{'`, `'.join(commands)}`: {listed.reason}\n")
    assert all(reason_not_to_run(step) for step in left_out)


def test_what_a_page_needs_of_a_cluster_is_said_of_every_page_with_commands_for_one() -> None:
    assert {page for page in pages() for step in steps(page) if place(step) is Place.CLUSTER} == set(NEEDS)


def test_reference_pages_hold_what_is_in_the_code() -> None:
    assert "| `requestQuota` | whole number |" in definition.page()
    assert "triveni predict [OPTIONS]" in command_line.page()
    assert "[`Together`](../runbook.md#together)" in operator.page()
    assert "| `triveni_leader` | gauge |" in operator.page()
    assert "| `workerImage.repository` |" in chart.page()
    assert "| 403 | [`QuotaReached`](../clients/protocol.md#quotareached) |" in errors.page()


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a  1.5 s", "b"], "a 20.25 s\n\nb\n"),
        (["program 8a196d367658"], "program 01234abcdef0\n"),
        (["a", "...", "d"], "a\nb\nc\nd\n"),
        (["...", "b"], "a\nb\n"),
        (["a", "..."], "a\nb\n"),
        ([], "anything\n"),
    ],
)
def test_a_page_may_show_other_numbers_and_leave_lines_out(shown: list[str], printed: str) -> None:
    assert not differs(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [(["a"], "b\n"), (["a"], "a\nb\n"), (["a", "b"], "a\n"), (["a", "...", "z"], "a\nb\n"), (["a", "c"], "a\nb\nc\n")],
)
def test_a_page_that_shows_something_else_than_is_printed_is_found(shown: list[str], printed: str) -> None:
    assert differs(shown, printed)


def test_commands_are_read_with_their_continuation_their_output_and_their_exit_code() -> None:
    page = "docs/start.md"
    found = {step.text.split()[0]: step for step in steps(page) if step.kind == "command"}
    assert found["kubectl"].page == page
    failing = [step for step in steps(page) if step.status]
    assert [step.said[-1] for step in failing] == ["triveni: request quota reached (3 of 4 predicted)"]
    assert isinstance(failing[0], Step)
