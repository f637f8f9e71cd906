"""Open Inference Protocol v2, as workers, clients and the sharing job speak it: JSON and the binary tensor extension.

A body is one JSON header followed by the tensors' bytes in order; the HTTP header `Inference-Header-Content-Length`
says where the JSON ends. Without it the whole body is JSON and tensors carry `data`. Tensors are shares: 64-bit words,
datatype INT64, little-endian. Nothing here knows what they mean, and no error text ever holds a word of one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

HEADER_LENGTH = "Inference-Header-Content-Length"

DATATYPE = "INT64"

MAX_DIMENSIONS = 8
MAX_TENSORS = 4096
MAX_HEADER_BYTES = 1 << 20

Key = Literal["inputs", "outputs"]


class Reason(StrEnum):
    """Why a request was refused; `status` is the HTTP code that goes with it."""

    MALFORMED = "Malformed"
    WRONG_SHAPE = "WrongShape"
    WRONG_TYPE = "WrongType"
    FORBIDDEN = "Forbidden"
    QUOTA_REACHED = "QuotaReached"
    NOT_FOUND = "NotFound"
    REQUEST_ID_REUSED = "RequestIdReused"
    TOO_LARGE = "TooLarge"
    UNSUPPORTED = "Unsupported"
    NOT_READY = "NotReady"
    EPOCH_ENDED = "EpochEnded"
    BUSY = "Busy"
    EXPIRED = "Expired"

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return _STATUS[self]


_STATUS = {
    Reason.MALFORMED: 400,
    Reason.WRONG_SHAPE: 400,
    Reason.WRONG_TYPE: 400,
    Reason.FORBIDDEN: 403,
    Reason.QUOTA_REACHED: 403,
    Reason.NOT_FOUND: 404,
    Reason.REQUEST_ID_REUSED: 409,
    Reason.TOO_LARGE: 413,
    Reason.UNSUPPORTED: 422,
    Reason.NOT_READY: 503,
    Reason.EPOCH_ENDED: 503,
    Reason.BUSY: 503,
    Reason.EXPIRED: 504,
}


@dataclass(eq=False)
class MalformedRequest(ValueError):
    """A message that is not what the protocol asks for: which field, what it holds, what to send instead."""

    field: str
    value: str
    way_out: str
    reason: Reason = Reason.MALFORMED

    def __str__(self) -> str:
        return f"{self.field}: {self.value}; {self.way_out}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Tensor:
    """A named array of 64-bit words, any shape. Its words are shares and never shown."""

    name: str
    data: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"<Tensor {self.name} {list(self.data.shape)}>"


def encode(
    header: Mapping[str, Any], tensors: Sequence[Tensor], key: Key = "inputs"
) -> tuple[int, list[bytes | memoryview]]:
    """A body in the binary form: the length of its JSON header, and the chunks whose concatenation it is.

    The chunks after the first are the tensors' own memory. The JSON is padded so that words stay aligned.
    """
    arrays = [np.asarray(tensor.data, "<i8", order="C") for tensor in tensors]
    described = [
        {
            "name": tensor.name,
            "datatype": DATATYPE,
            "shape": list(array.shape),
            "parameters": {"binary_data_size": array.nbytes},
        }
        for tensor, array in zip(tensors, arrays, strict=True)
    ]
    text = json.dumps({**header, key: described}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text), [text, *(array.data.cast("B") for array in arrays if array.size)]


def encode_json(header: Mapping[str, Any], tensors: Sequence[Tensor], key: Key = "inputs") -> bytes:
    """A body in the plain JSON form, for callers that sent one."""
    described = [
        {
            "name": tensor.name,
            "datatype": DATATYPE,
            "shape": list(tensor.data.shape),
            "data": tensor.data.ravel().tolist(),
        }
        for tensor in tensors
    ]
    return json.dumps({**header, key: described}, separators=(",", ":")).encode()


def decode(
    body: bytes | memoryview, header_length: int | str | None, key: Key = "inputs"
) -> tuple[dict[str, Any], list[Tensor]]:
    """The header (without the tensors' descriptions) and the tensors, which are views of `body`, not copies.

    `header_length` is the value of the HTTP header `Inference-Header-Content-Length`, None if there is none.

    Raises:
        MalformedRequest: anything is not exactly as the protocol says.
    """
    view = memoryview(body)
    length = _header_length(header_length, len(view))
    header = _json_object(view[:length])
    described = header.pop(key, None)
    if not isinstance(described, list) or len(described) > MAX_TENSORS:
        raise MalformedRequest(key, _brief(described), f"a list of at most {MAX_TENSORS} tensors is needed")
    rest = view[length:]
    tensors = []
    for position, item in enumerate(described):
        tensor, size = _tensor(f"{key}[{position}]", item, rest)
        tensors.append(tensor)
        rest = rest[size:]
    if len(rest):
        raise MalformedRequest("body", f"{len(rest)} bytes more than its tensors", "send their sizes' sum")
    return header, tensors


def _header_length(value: int | str | None, total: int) -> int:
    if value is None:
        return total
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal() and len(value) <= 12):
            raise MalformedRequest(HEADER_LENGTH, _brief(value), "the number of bytes of the JSON header is needed")
        value = int(value)
    if not 2 <= value <= min(total, MAX_HEADER_BYTES):
        raise MalformedRequest(
            HEADER_LENGTH, str(value), f"2 to {min(total, MAX_HEADER_BYTES)} is possible for this body"
        )
    return value


def _json_object(data: memoryview) -> dict[str, Any]:
    try:
        header = json.loads(bytes(data), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MalformedRequest("body", "not JSON", "a JSON object is needed") from None
    if not isinstance(header, dict):
        raise MalformedRequest("body", f"a JSON {type(header).__name__}", "a JSON object is needed")
    return header


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _tensor(field: str, item: Any, rest: memoryview) -> tuple[Tensor, int]:
    if not isinstance(item, dict):
        raise MalformedRequest(field, _brief(item), "an object with name, datatype, shape and parameters is needed")
    name = item.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 256:
        raise MalformedRequest(f"{field}.name", _brief(name), "a name of 1 to 256 characters is needed")
    if item.get("datatype") != DATATYPE:
        raise MalformedRequest(
            f"{field}.datatype",
            _brief(item.get("datatype")),
            f"shares are words of datatype {DATATYPE}",
            Reason.WRONG_TYPE,
        )
    shape = _shape(f"{field}.shape", item.get("shape"))
    size = 8 * math.prod(shape)
    parameters = item.get("parameters", {})
    if not isinstance(parameters, dict):
        raise MalformedRequest(f"{field}.parameters", _brief(parameters), "an object is needed")
    declared = parameters.get("binary_data_size")
    if declared is None:
        return Tensor(name, _json_words(f"{field}.data", item.get("data"), shape)), 0
    if type(declared) is not int or declared != size:
        raise MalformedRequest(
            f"{field}.parameters.binary_data_size", _brief(declared), f"its shape needs {size} bytes"
        )
    if len(rest) < size:
        raise MalformedRequest("body", f"ends {size - len(rest)} bytes too early", f"{field} needs {size} bytes")
    return Tensor(name, np.frombuffer(rest[:size], "<i8").reshape(shape)), size


def _shape(field: str, value: Any) -> tuple[int, ...]:
    fits = (
        isinstance(value, list)
        and len(value) <= MAX_DIMENSIONS
        and all(type(dim) is int and 0 <= dim < 1 << 32 for dim in value)
    )
    if not fits:
        raise MalformedRequest(
            field, _brief(value), f"a list of at most {MAX_DIMENSIONS} whole numbers is needed", Reason.WRONG_SHAPE
        )
    return tuple(value)


def _json_words(field: str, data: Any, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Words from a list in row-major order, flat or nested."""
    words: list[int] = []
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif type(item) is int and -(1 << 63) <= item < 1 << 63:
            words.append(item)
        else:
            raise MalformedRequest(
                field,
                "missing or not 64-bit whole numbers only",
                "send them, or the tensor's bytes and parameters.binary_data_size",
                Reason.WRONG_TYPE,
            )
    if len(words) != math.prod(shape):
        raise MalformedRequest(field, f"{len(words)} words", f"its shape needs {math.prod(shape)}", Reason.WRONG_SHAPE)
    return np.array(words, np.int64).reshape(shape)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def error_body(reason: Reason, message: str) -> bytes:
    """The JSON of a refusal: a sentence for a person, a reason for a program."""
    return json.dumps({"error": message, "reason": reason.value}).encode()


def read_error(body: bytes) -> tuple[Reason | None, str]:
    """Reason and sentence of a refusal; no reason if the body is not one of ours."""
    try:
        document = json.loads(body)
        message = str(document["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None, body[:200].decode(errors="replace")
    reason = document.get("reason")
    return (Reason(reason) if reason in set(Reason) else None), message
