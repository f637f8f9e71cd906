"""Small messages between workers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.worker import frame
from triveni.worker.config import MAX_ROWS
from triveni.worker.desk import MAX_KEY
from triveni.worker.order import Command, Order, decode, encode

DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(DOCUMENTS, max_size=5), st.integers(1, 7))
def test_a_stream_cut_anywhere_gives_the_documents_back(documents: list[Any], size: int) -> None:
    stream = b"".join(map(frame.encode, documents))
    reader, got = frame.Reader(), []
    for start in range(0, len(stream), size):
        got += reader.feed(stream[start : start + size])
    assert got == documents


@pytest.mark.parametrize("prefix", [b"\0\0\0\0", (frame.MAX_BYTES + 1).to_bytes(4, "big"), b"\xff\xff\xff\xff"])
def test_an_impossible_length_is_refused_before_anything_is_kept(prefix: bytes) -> None:
    with pytest.raises(frame.InvalidFrame, match="announces"):
        frame.Reader().feed(prefix)


@pytest.mark.parametrize("text", [b"x", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(frame.InvalidFrame, match="not JSON"):
        frame.Reader().feed(len(text).to_bytes(4, "big") + text)


def test_the_longest_order_fits_whatever_ids_clients_choose() -> None:
    """256 rows are the most of a run, and JSON writes the characters beyond the basic plane with twelve bytes each."""
    keys = tuple(f"{'c' * 63}/{number:03}{chr(0x1F600) * 125}" for number in range(MAX_ROWS))
    assert all(len(key) == MAX_KEY for key in keys)
    order = Order(Command.RUN, 2**62, MAX_ROWS, keys)
    (document,) = frame.Reader().feed(encode(order))
    assert decode(document) == order


def test_a_document_that_would_be_too_large_is_not_sent() -> None:
    with pytest.raises(frame.InvalidFrame):
        frame.encode("x" * frame.MAX_BYTES)
