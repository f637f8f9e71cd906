"""One request: its three bodies, made once for one epoch, and the answer from the three replies. No I/O.

The bodies are kept as bytes, so that whatever is sent again under the same id is the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.api.inference import HEADER_LENGTH, MalformedRequest, Tensor, decode, encode
from triveni.client.description import Description
from triveni.client.errors import AnswersDisagree, WrongAnswer
from triveni.client.transport import Reply
from triveni.mpc.sharing import components_of, reveal, split

Words = NDArray[np.int64]

ANSWER_HEADER_BYTES = 2**16


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """What one worker gets: the HTTP headers and the body, which holds that worker's shares."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """Shares of some rows, for one epoch only."""

    id: str
    epoch: int
    rows: int
    parts: tuple[Part, ...]

    def __repr__(self) -> str:
        return f"<Request {self.id} of {self.rows} rows for epoch {self.epoch}>"


def new_request(words: Words, epoch: int) -> Request:
    """Split `words` (rows, ...) afresh, under a fresh id."""
    request_id = os.urandom(16).hex()
    components = split(words)
    parts = []
    for party in range(3):
        tensors = [Tensor(f"component_{c}", components[c]) for c in components_of(party)]
        header_length, chunks = encode({"id": request_id}, tensors)
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(header_length)}
        parts.append(Part(headers, b"".join(chunks)))
    return Request(request_id, epoch, len(words), tuple(parts))


def largest_answer(request: Request, description: Description) -> int:
    """The most bytes that a worker's answer can have."""
    return 2 * 8 * request.rows * int(np.prod(description.output_shape)) + ANSWER_HEADER_BYTES


def read_answer(party: int, reply: Reply, request: Request, description: Description) -> tuple[Words, Words]:
    """The two components in worker `party`'s reply.

    Raises:
        WrongAnswer: they are not there, or are not of this request.
    """
    try:
        header, tensors = decode(reply.body, reply.headers.get(HEADER_LENGTH), "outputs")
    except MalformedRequest as error:
        raise WrongAnswer(party, str(error)) from error
    parameters = header.get("parameters")
    got: dict[str, Any] = {"id": header.get("id")}
    got |= parameters if isinstance(parameters, dict) else {}
    for key, value in ("id", request.id), ("epoch", request.epoch), ("party", party):
        if got.get(key) != value:
            raise WrongAnswer(party, f"its {key} is {got.get(key)!r:.60}, expected {value!r}")
    names = [tensor.name for tensor in tensors]
    if names != [f"component_{c}" for c in components_of(party)]:
        raise WrongAnswer(party, f"it holds {names!r:.120}")
    shape = (request.rows, *description.output_shape)
    for tensor in tensors:
        if tensor.data.shape != shape:
            raise WrongAnswer(party, f"{tensor.name} has the shape {tensor.data.shape}, expected {shape}")
    return tensors[0].data, tensors[1].data


def join(answers: Sequence[tuple[Words, Words]]) -> Words:
    """The answer's words from the two components of each worker, in the order of parties.

    Raises:
        AnswersDisagree: the two holders of a component do not hold the same.
    """
    # Component c is the first that worker c holds and the second that worker c-1 holds.
    differing = tuple(c for c in range(3) if not np.array_equal(answers[c][0], answers[c - 1][1]))
    if differing:
        holders = [{c, (c - 1) % 3} for c in differing]
        # If only one worker touches all that differs, it is that one.
        common = set.intersection(*holders) or set.union(*holders)
        raise AnswersDisagree(differing, tuple(sorted(common)))
    return reveal(answers[0][0], answers[1][0], answers[2][0])
