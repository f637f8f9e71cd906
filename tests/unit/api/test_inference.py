"""The wire form of requests and answers."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from triveni.api.inference import (
    MAX_HEADER_BYTES,
    MalformedRequest,
    Reason,
    Tensor,
    decode,
    encode,
    encode_json,
    error_body,
    read_error,
)

WORDS = npst.arrays(np.int64, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_tensors_come_back_exactly_in_binary_and_in_json(arrays: list[np.ndarray]) -> None:
    tensors = [Tensor(f"t{i}", array) for i, array in enumerate(arrays)]
    length, chunks = encode({"id": "r"}, tensors, "outputs")
    bodies = [decode(b"".join(chunks), str(length), "outputs"), decode(encode_json({"id": "r"}, tensors), None)]
    for header, decoded in bodies:
        assert header == {"id": "r"}
        assert [tensor.name for tensor in decoded] == [tensor.name for tensor in tensors]
        for tensor, array in zip(decoded, arrays, strict=True):
            assert tensor.data.dtype == np.int64
            assert np.array_equal(tensor.data, array)


def test_decoded_tensors_are_aligned_views_of_the_body() -> None:
    length, chunks = encode({"id": "abc"}, [Tensor("x", np.arange(6).reshape(2, 3))])
    body = b"".join(chunks)
    _, (tensor,) = decode(body, length)
    assert tensor.data.flags.aligned
    assert not tensor.data.flags.owndata
    assert np.shares_memory(tensor.data, np.frombuffer(body, np.uint8))


def test_a_strided_array_is_sent_in_row_major_order() -> None:
    array = np.arange(12).reshape(3, 4).T
    length, chunks = encode({}, [Tensor("x", array)])
    _, (tensor,) = decode(b"".join(chunks), length)
    assert np.array_equal(tensor.data, array)


def test_nested_json_data_is_read_in_row_major_order() -> None:
    body = b'{"inputs":[{"name":"x","datatype":"INT64","shape":[2,2],"data":[[1,2],[3,-9223372036854775808]]}]}'
    _, (tensor,) = decode(body, None)
    assert tensor.data.tolist() == [[1, 2], [3, -(2**63)]]


def described(**change: Any) -> dict[str, Any]:
    tensor = {"name": "x", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}} | change
    return {key: value for key, value in tensor.items() if value is not None}


def body_of(document: Any, binary: bytes = b"") -> tuple[bytes, int]:
    text = json.dumps(document).encode()
    return text + binary, len(text)


@pytest.mark.parametrize(
    ("tensor", "field", "reason"),
    [
        ("x", "inputs[0]", Reason.MALFORMED),
        (described(name=None), "inputs[0].name", Reason.MALFORMED),
        (described(name=""), "inputs[0].name", Reason.MALFORMED),
        (described(name="x" * 257), "inputs[0].name", Reason.MALFORMED),
        (described(datatype="FP32"), "inputs[0].datatype", Reason.WRONG_TYPE),
        (described(shape=[-1]), "inputs[0].shape", Reason.WRONG_SHAPE),
        (described(shape=[True, 2]), "inputs[0].shape", Reason.WRONG_SHAPE),
        (described(shape=[2.0]), "inputs[0].shape", Reason.WRONG_SHAPE),
        (described(shape=[1] * 9), "inputs[0].shape", Reason.WRONG_SHAPE),
        (described(shape=None), "inputs[0].shape", Reason.WRONG_SHAPE),
        (described(shape=[3]), "inputs[0].parameters.binary_data_size", Reason.MALFORMED),
        (described(parameters={"binary_data_size": "16"}), "inputs[0].parameters.binary_data_size", Reason.MALFORMED),
        (described(parameters=[]), "inputs[0].parameters", Reason.MALFORMED),
        (described(parameters={}), "inputs[0].data", Reason.WRONG_TYPE),
        (described(parameters={}, data=[1, "2"]), "inputs[0].data", Reason.WRONG_TYPE),
        (described(parameters={}, data=[1, True]), "inputs[0].data", Reason.WRONG_TYPE),
        (described(parameters={}, data=[1, 1.5]), "inputs[0].data", Reason.WRONG_TYPE),
        (described(parameters={}, data=[1, 2**63]), "inputs[0].data", Reason.WRONG_TYPE),
        (described(parameters={}, data=[1]), "inputs[0].data", Reason.WRONG_SHAPE),
    ],
)
def test_a_field_that_does_not_fit_is_named(tensor: Any, field: str, reason: Reason) -> None:
    binary = b"" if isinstance(tensor, dict) and tensor.get("parameters") == {} else bytes(16)
    with pytest.raises(MalformedRequest) as caught:
        decode(*body_of({"inputs": [tensor]}, binary))
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize("document", [{}, {"inputs": {}}, {"outputs": [described()]}])
def test_a_body_without_tensors_is_refused(document: Any) -> None:
    with pytest.raises(MalformedRequest) as caught:
        decode(*body_of(document))
    assert caught.value.field == "inputs"


def test_a_body_may_have_a_list_of_no_tensors() -> None:
    assert decode(*body_of({"id": "r", "inputs": []})) == ({"id": "r"}, [])


@pytest.mark.parametrize("binary", [b"", bytes(15), bytes(17), bytes(24)])
def test_a_body_that_is_too_short_or_too_long_is_refused(binary: bytes) -> None:
    with pytest.raises(MalformedRequest) as caught:
        decode(*body_of({"inputs": [described()]}, binary))
    assert caught.value.field == "body"


@pytest.mark.parametrize(
    "length", ["", "-1", "1", "x", "1e2", "9" * 20, "\u0662\u0663", 0, 10**6, str(MAX_HEADER_BYTES + 1)]
)
def test_a_header_length_that_is_no_length_of_this_body_is_refused(length: int | str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        decode(b'{"inputs":[]}  ', length)
    assert caught.value.field == "Inference-Header-Content-Length"


@pytest.mark.parametrize("body", [b"xx", b"[]", b'{"a":NaN}', b"\xff\xfe{}", b"[" * 100_000, b'"text"'])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest) as caught:
        decode(body, None)
    assert caught.value.field == "body"


def test_no_error_text_holds_a_word_of_a_share() -> None:
    share = 4242424242424242
    for tensor in (described(parameters={}, data=[share, 1.5]), described(parameters={}, data=[share] * 3)):
        with pytest.raises(MalformedRequest) as caught:
            decode(*body_of({"inputs": [tensor]}))
        assert str(share) not in str(caught.value)
    assert str(share) not in repr(Tensor("x", np.array([share])))


@given(st.binary(max_size=200), st.one_of(st.none(), st.integers(-1, 210)))
def test_any_bytes_are_read_or_refused_and_never_break_the_reader(body: bytes, length: int | None) -> None:
    with pytest.raises(MalformedRequest):
        decode(body, length)


def test_a_refusal_reads_back() -> None:
    assert read_error(error_body(Reason.QUOTA_REACHED, "request quota reached")) == (
        Reason.QUOTA_REACHED,
        "request quota reached",
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"reason": "QuotaReached"}'])
def test_an_error_of_somebody_else_has_no_reason(body: bytes) -> None:
    assert read_error(body)[0] is None


def test_an_unknown_reason_keeps_its_sentence() -> None:
    assert read_error(b'{"error": "no", "reason": "Mystery"}') == (None, "no")


def test_every_reason_has_a_status() -> None:
    assert all(400 <= reason.status < 600 for reason in Reason)
