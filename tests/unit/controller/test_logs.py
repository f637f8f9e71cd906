"""The operator's log: one JSON line for each record, with the SecureModel it is about, and never a secret."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kopf._cogs.configs.configuration import OperatorSettings
from kopf._cogs.structs.bodies import Body
from kopf._core.actions.loggers import ObjectLogger

from triveni.controller.logs import Log, bind, configure

SECRET = "-----BEGIN PRIVATE KEY-----"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def set_up() -> Iterator[Callable[[str], Lines]]:
    """Set the logging up at a level; what it returns gives the lines written since."""
    root, ours = logging.getLogger(), logging.getLogger("triveni")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()

    def at(level: str) -> Lines:
        configure(level, stream)
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    yield at
    logging.captureWarnings(False)
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def lines(set_up: Callable[[str], Lines]) -> Lines:
    return set_up("info")


def test_a_line_says_when_what_and_about_which_secure_model(lines: Lines) -> None:
    with bind(namespace="bank", name="mnist"):
        Log("triveni.controller.reconcile").info("epoch started", epoch=3, granted=10)
    (line,) = lines()
    time = line.pop("time")
    assert time.endswith("+00:00")
    assert len(time) == len("2026-11-24T22:00:00.000+00:00")
    assert line == {
        "level": "info",
        "logger": "triveni.controller.reconcile",
        "message": "epoch started",
        "namespace": "bank",
        "name": "mnist",
        "epoch": 3,
        "granted": 10,
    }


async def test_what_is_bound_holds_in_tasks_started_there_and_nowhere_else(lines: Lines) -> None:
    log = Log("triveni.test")

    async def work(name: str) -> None:
        with bind(name=name):
            await asyncio.sleep(0)
            log.info("inside")
        log.info("outside")

    await asyncio.gather(work("a"), work("b"))
    log.info("after")
    assert [(line["message"], line.get("name")) for line in lines()] == [
        ("inside", "a"),
        ("outside", None),
        ("inside", "b"),
        ("outside", None),
        ("after", None),
    ]


def test_a_field_given_with_the_line_wins_over_a_bound_one(lines: Lines) -> None:
    with bind(epoch=1), bind(party=2):
        Log("triveni.test").info("next", epoch=2)
    assert (lines()[0]["epoch"], lines()[0]["party"]) == (2, 2)


def test_a_record_of_kopf_brings_namespace_and_name_of_its_object(lines: Lines) -> None:
    body = Body({"kind": "SecureModel", "metadata": {"namespace": "bank", "name": "mnist", "uid": "u"}})
    ObjectLogger(body=body, settings=OperatorSettings()).warning("Handler %r is slow.", "reconcile")
    (line,) = lines()
    assert (line["logger"], line["namespace"], line["name"]) == ("kopf.objects", "bank", "mnist")
    assert line["message"] == "Handler 'reconcile' is slow."
    assert "uid" not in line


@pytest.mark.parametrize("field", ["key", "data", "tls", "msg", "args"])
def test_a_field_that_is_not_on_the_list_is_left_out(lines: Lines, field: str) -> None:
    Log("triveni.test").info("applied", **{field: SECRET})  # type: ignore[misc]
    assert SECRET not in json.dumps(lines())


@pytest.mark.parametrize("value", [SECRET.encode(), [SECRET], {"tls.key": SECRET}, RuntimeError(SECRET)])
def test_a_field_that_is_no_single_value_is_left_out(lines: Lines, value: object) -> None:
    Log("triveni.test").info("applied", detail=value)  # type: ignore[arg-type]
    assert SECRET not in json.dumps(lines())


def test_an_empty_text_says_nothing_and_is_left_out(lines: Lines) -> None:
    Log("triveni.test").info("epoch ended", reason="", epoch=0)
    assert lines()[0].keys() == {"time", "level", "logger", "message", "epoch"}


def test_fields_stand_in_the_same_order_in_every_line(lines: Lines) -> None:
    Log("triveni.test").info("epoch ended", reason="WorkerLost", epoch=3, name="mnist", namespace="bank")
    assert list(lines()[0])[4:] == ["namespace", "name", "epoch", "reason"]


def test_a_long_text_is_cut_and_a_line_stays_one_line(lines: Lines) -> None:
    Log("triveni.test").info("first\nsecond", detail="x" * 10_000)
    (line,) = lines()
    assert line["message"] == "first\nsecond"
    assert len(line["detail"]) == 1000


def fail() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(f"cannot read {SECRET}") from error


def test_an_unexpected_error_is_logged_by_type_and_place_without_its_text(lines: Lines) -> None:
    try:
        fail()
    except ValueError as error:
        Log("triveni.test").error("reconciling failed", error)
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert [place.partition(" ")[2] for place in line["traceback"]] == [
        "test_an_unexpected_error_is_logged_by_type_and_place_without_its_text",
        "fail",
        "by KeyError",
        "fail",
    ]
    assert SECRET not in json.dumps(line)


def test_a_line_about_nothing_unexpected_has_no_error_and_no_traceback(lines: Lines) -> None:
    Log("triveni.test").error("no worker image")
    assert lines()[0].keys() == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("text", ["{error}", "{error!r}"])
def test_the_text_of_an_exception_that_a_library_puts_in_its_message_is_left_out(lines: Lines, text: str) -> None:
    try:
        fail()
    except ValueError as error:
        logging.getLogger("kopf.objects").exception("Handler failed: " + text.format(error=error))  # noqa: G003
    (line,) = lines()
    assert line["message"] == "Handler failed: ValueError"
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["ours debug", "ours info", "ours warning", "kopf info", "kopf warning"]),
        ("info", ["ours info", "ours warning", "kopf warning"]),
        ("warning", ["ours warning", "kopf warning"]),
        ("ERROR", []),
    ],
)
def test_libraries_are_quieter_than_we_are_and_never_write_what_they_call_debug(
    set_up: Callable[[str], Lines], level: str, expected: list[str]
) -> None:
    lines = set_up(level)
    for name, logger in (("ours", "triveni.test"), ("kopf", "kopf.test")):
        for at in ("debug", "info", "warning"):
            logging.getLogger(logger).log(logging.getLevelNamesMapping()[at.upper()], "%s %s", name, at)
    assert [line["message"] for line in lines()] == expected
