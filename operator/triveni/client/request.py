"""One request: its three bodies, made once for one epoch, and the answer from the three replies. No I/O.

The bodies are kept as bytes, so that whatever is sent again under the same id is the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.api.inference import HEADER_LENGTH, MalformedRequest, Tensor, decode, encode
from triveni.client.description import Description
from triveni.client.errors import AnswersDisagree, WrongAnswer
from triveni.client.transport import Reply
from triveni.mpc.sharing import HELD, component_count, component_names, components_of, reveal, split

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
    protocol: str
    rows: int
    parts: tuple[Part, ...]

    def __repr__(self) -> str:
        return f"<Request {self.id} of {self.rows} rows for epoch {self.epoch}>"


def new_request(words: Words, description: Description) -> Request:
    """Split `words` (rows, ...) afresh as the protocol of an epoch does, under a fresh id.

    A worker that holds no component is told the number of rows.
    """
    request_id, protocol = os.urandom(16).hex(), description.protocol
    components = split(words, protocol)
    parts = []
    for party in range(3):
        tensors = [Tensor(f"component_{c}", components[c]) for c in components_of(party, protocol)]
        header: dict[str, Any] = {"id": request_id}
        header |= {} if tensors else {"parameters": {"rows": len(words)}}
        header_length, chunks = encode(header, tensors)
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(header_length)}
        parts.append(Part(headers, b"".join(chunks)))
    return Request(request_id, description.epoch, protocol, len(words), tuple(parts))


def largest_answer(request: Request, description: Description) -> int:
    """The most bytes that a worker's answer can have."""
    return 2 * 8 * request.rows * int(np.prod(description.output_shape)) + ANSWER_HEADER_BYTES


def read_answer(party: int, reply: Reply, request: Request, description: Description) -> tuple[Words, ...]:
    """The components in worker `party`'s reply.

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
    if names != [*component_names(party, request.protocol)]:
        raise WrongAnswer(party, f"it holds {names!r:.120}")
    shape = (request.rows, *description.output_shape)
    for tensor in tensors:
        if tensor.data.shape != shape:
            raise WrongAnswer(party, f"{tensor.name} has the shape {tensor.data.shape}, expected {shape}")
    return tuple(tensor.data for tensor in tensors)


def join(answers: Sequence[tuple[Words, ...]], protocol: str) -> Words:
    """The answer's words from the components of each worker, in the order of parties.

    In ABY3 two workers hold each component, so a wrong one is noticed. In SecureNN each has one holder: nothing is.

    Raises:
        AnswersDisagree: the holders of a component do not hold the same.
    """
    held: dict[int, dict[int, Words]] = {component: {} for component in range(component_count(protocol))}
    for party, (numbers, components) in enumerate(zip(HELD[protocol], answers, strict=True)):
        for number, words in zip(numbers, components, strict=True):
            held[number][party] = words
    differing = tuple(
        number
        for number, holders in held.items()
        if not all(np.array_equal(words, _any(holders)) for words in holders.values())
    )
    if differing:
        # If only one worker touches all that differs, it is that one.
        parties = [set(held[number]) for number in differing]
        common = set.intersection(*parties) or set.union(*parties)
        raise AnswersDisagree(differing, tuple(sorted(common)))
    return reveal(*map(_any, held.values()))


def _any(holders: Mapping[int, Words]) -> Words:
    return next(iter(holders.values()))
