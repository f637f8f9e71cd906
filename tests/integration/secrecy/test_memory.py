"""Where the numbers of a model and of its inputs are while an epoch is served, and what is left when it is over."""

from __future__ import annotations

import pytest

from tests.integration.secrecy.canary import PIXEL, Canary
from tests.integration.secrecy.held import PLAIN, REQUESTS, Held
from tests.integration.secrecy.search import Form, Hit
from triveni.mpc.sharing import components_of

workers = pytest.mark.parametrize("party", range(3))


def is_plain(held: Held, party: int) -> bool:
    return (held.protocol, party) == PLAIN


@workers
def test_the_memory_of_a_worker_that_serves_holds_no_number_of_model_or_input(held: Held, party: int) -> None:
    assert held.serving[party].canary == set()


def test_the_same_search_finds_the_model_in_the_sharing_job(held: Held) -> None:
    forms = {hit.form for hit in held.sharing_job.canary if hit.kind == "weights"}
    assert {Form.FLOAT32_PAIR, Form.WORD} <= forms


def test_the_same_search_finds_an_input_in_a_worker_to_which_it_was_not_shared(held: Held) -> None:
    assert held.given_the_input.canary == {Hit("input", Form.WORD)}


def test_the_same_search_finds_each_form_at_any_byte(canary: Canary) -> None:
    for needle in [needle for needles in canary.patterns().values() for needle in needles]:
        assert canary.find([b"\x01" * 12345 + needle + b"\x01" * 100]), needle


def test_logs_reports_documents_and_files_hold_no_number_of_model_or_input(held: Held, canary: Canary) -> None:
    names = " ".join(held.written)
    for name in ("worker-0.log", "report-2.json", "sharing-0.log", "sharing-0.json", "/triveni/v1/status of 1"):
        assert name in names
    assert not {name for name, content in held.written.items() if canary.find([content])}


def test_the_same_search_finds_an_input_in_a_log(held: Held, canary: Canary) -> None:
    (log,) = (content for name, content in held.written.items() if name.endswith("worker-0.log"))
    assert canary.find([log + f'{{"event": "got", "x": {PIXEL}}}\n'.encode()]) == {Hit("input", Form.TEXT)}


@workers
def test_the_memory_of_a_worker_that_has_erased_holds_nothing_of_what_it_was_given(held: Held, party: int) -> None:
    report, found = held.reports[party], held.erased[party]
    assert (report["reason"], report["erased"], report["answered"]) == ("QuotaReached", True, REQUESTS)
    assert found.canary == set()
    if not is_plain(held, party):
        assert found.own == {}


@workers
def test_the_same_search_finds_all_of_it_before(held: Held, party: int) -> None:
    kinds = {"weights", "input", "keys"} if components_of(party, held.protocol) else {"keys"}
    assert set(held.serving[party].own) == kinds


def test_the_same_search_finds_weights_in_a_worker_that_does_not_overwrite_what_it_frees(held: Held) -> None:
    protocol, party = PLAIN
    if held.protocol == protocol:
        assert held.erased[party].own["weights"] > 100
