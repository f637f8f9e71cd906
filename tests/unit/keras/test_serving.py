"""The account of a cluster over several `serve`s."""

from __future__ import annotations

from triveni.controller.quota import Report
from triveni.keras.serving import Account, serves


def reports(epoch: int, answered: int) -> list[Report]:
    return [Report(epoch, party, answered, answered) for party in range(3)]


def test_each_serve_grants_anew_and_no_epoch_is_numbered_twice() -> None:
    account = Account()
    account.grant(3)
    account.ledger = account.ledger.start().end(reports(1, 3))
    assert account.ledger.reached
    account.grant(5)
    account.ledger = account.ledger.start()
    assert account.ledger.open is not None
    assert (account.ledger.open.epoch, account.ledger.open.rows) == (2, 5)
    account.ledger = account.ledger.end(reports(2, 1))
    account.grant(None)
    assert account.ledger.remaining is None
    account.grant(2)
    assert account.ledger.remaining == 2


def test_how_many_requests_are_answered_is_said_in_words() -> None:
    assert serves(None).endswith("any number of requests is answered.")
    assert serves(1).endswith("1 request is answered.")
    assert serves(3).endswith("3 requests are answered.")
