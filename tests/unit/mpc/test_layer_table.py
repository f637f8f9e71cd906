"""The table of layers: the docs show it as it is, and no layer that is read is missing."""

from __future__ import annotations

from tests.layers.table import PAGE, TABLE, page_with_table
from triveni.sharing.keras_activations import ACTIVATIONS
from triveni.sharing.keras_kinds import KINDS


def test_the_docs_show_the_table_of_the_tests() -> None:
    page = PAGE.read_text()
    assert page == page_with_table(page), "run `make generate`"


def test_every_layer_and_activation_that_is_read_has_a_row() -> None:
    rows = " ".join(f" {row.layers} ".replace(",", " ") for row in TABLE).split()
    assert {*KINDS, *ACTIVATIONS} <= set(rows)


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
