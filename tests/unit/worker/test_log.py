"""One JSON object a line."""

import io
import json
import logging

import pytest

from triveni.worker.log import Log

SECRET = "share 4242424242"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_line_says_who_and_what(stream: io.StringIO) -> None:
    Log.to("info", {"epoch": 1, "party": 2}, stream).info("state", state="Serving")
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "event": "state", "epoch": 1, "party": 2, "state": "Serving"}


def test_events_below_the_level_are_left_out(stream: io.StringIO) -> None:
    log = Log.to("warning", {}, stream)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [line["event"] for line in lines(stream)] == ["c", "d"]


def test_an_exception_is_told_by_type_and_place_and_never_by_its_text(stream: io.StringIO) -> None:
    log = Log.to("info", {}, stream)
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        log.error("failed", error=error, what="the engine")
    (line,) = lines(stream)
    assert line["exception"] == "ValueError"
    assert line["at"][-1].startswith("test_log.py:")
    assert SECRET not in stream.getvalue()


def test_other_libraries_are_told_by_name_without_their_text(stream: io.StringIO) -> None:
    Log.to("info", {}, stream)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error with %s", SECRET)
    (line,) = lines(stream)
    assert (line["event"], line["exception"]) == ("aiohttp.server", "ValueError")
    assert SECRET not in stream.getvalue()
