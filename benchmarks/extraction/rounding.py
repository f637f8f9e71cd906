"""What a worker who is also a client learns by knowing how values were rounded.

A truncation rounds x / 2^k up if the low bits of x are above a threshold, which is drawn for each request, and down if
not. In ABY3 each worker can compute the threshold, in SecureNN workers 0 and 1 can, of every truncation in the network.
So of many requests with one input that worker knows which rounded a hidden value up, once it has guessed the value's
low bits; the answers of these differ from the others by the weight by which that value is multiplied, in the answer's
last place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.extraction.network import Requests
from triveni.mpc.program import Draw, Node, Program

Floats = NDArray[np.float64]

SWEEPS = 4
"""How often each unit's step is estimated, with those of the others taken out."""

SIGN = 63
"""A shift by so many bits is no truncation but the sign of a word."""

AT_LEAST = 8
"""Requests on either side of a step: fewer say nothing."""


@dataclass(frozen=True)
class Seen:
    """A truncation as one worker sees it.

    Attributes:
        bits: how many it takes away.
        thresholds: of each value and request, as a fraction: (rows, values).
    """

    bits: int
    thresholds: Floats


def truncations(requests: Requests, party: int) -> Sequence[Seen]:
    """Those of a program, in order, as far as a worker knows their thresholds."""
    seen = []
    for node in requests.program.nodes:
        if (shifted := _shifted(node, requests.program.protocol, party)) is not None:
            value, bits, falls = shifted
            low = (requests.values[value] & (2**bits - 1)).reshape(len(requests), -1) / 2.0**bits
            seen.append(Seen(bits, 1 - low if falls else low))
    return seen


def _shifted(node: Node, protocol: str, party: int) -> tuple[Node, int, bool] | None:
    """The word whose low bits are the threshold, their number, and whether it is 1 minus these; None: no truncation.

    ABY3: workers 0 and 1 open x + r, of which worker 2 has drawn r. SecureNN: workers 0 and 1 shift their shares.
    """
    if node.op != "sar" or node.inputs[0].op == "and" or node.inputs[1].attrs["value"] == SIGN:
        return None
    if node.party != (0 if (protocol, party) == ("ABY3", 1) else party):
        return None
    return node.inputs[0], int(node.inputs[1].attrs["value"]), party == (2 if protocol == "ABY3" else 1)


def weights_of_last_layer(requests: Requests, party: int) -> Floats:
    """An estimate of the last layer's kernel, from requests that all have one input of which all units are active."""
    hidden, *_ = truncations(requests, party)
    answers = unrounded(requests, party)
    steps = np.zeros(hidden.thresholds.shape[1])
    fitted = np.zeros(hidden.thresholds.shape)
    for _ in range(SWEEPS):
        for unit, thresholds in enumerate(hidden.thresholds.T):
            rest = answers - fitted.sum(1) + fitted[:, unit]
            steps[unit], up = _step(rest, thresholds)
            fitted[:, unit] = steps[unit] * up
    return steps


def unrounded(requests: Requests, party: int) -> Floats:
    """Each answer without what the worker knows of how it was rounded, in the protocol's words: evenly off."""
    _, *outer = truncations(requests, party)
    values = requests.answers.astype(np.float64)
    for seen in reversed(outer):
        values = (values + seen.thresholds[:, 0] - 1 / 2) * 2.0**seen.bits
        if seen is not outer[0]:
            values = values - known_dither(requests, party)
    return values / 2.0 ** outer[0].bits


def bracket(requests: Requests, party: int) -> tuple[float, float]:
    """Bounds of the one answer of all requests before it was rounded off, in the protocol's words.

    They are right if the worker knows every dither; if not, the lower one comes to lie above the upper one.
    """
    last = truncations(requests, party)[-1]
    step = 2.0**last.bits
    low = (requests.answers - 1 + last.thresholds[:, 0]) * step - known_dither(requests, party)
    return float(low.max()), float(low.min() + step)


def known_dither(requests: Requests, party: int) -> Floats:
    """The sum of the dithers of the answer that a worker knows, each about its mean, (rows,)."""
    known = {
        draw: requests.values[node].reshape(-1) - (node.inputs[1].attrs["value"] + 1) / 2
        for node, draw in dithers(requests.program)
        if party in draw.holders
    }
    return np.asarray(sum(known.values(), np.zeros(len(requests))))


def dithers(program: Program) -> Iterator[tuple[Node, Draw]]:
    """The low bits of a draw that are added before an answer is rounded off, and the draw."""
    for node in program.nodes:
        if node.op == "and" and (draw := node.inputs[0].draw) is not None and node.inputs[1].attrs["value"] > 0:
            yield node, draw


def _step(values: Floats, thresholds: Floats) -> tuple[float, NDArray[np.bool_]]:
    """By how much values are larger where thresholds are low, for the place that divides them best; and where it is."""
    order = np.argsort(thresholds)
    centred = (values - values.mean())[order]
    low = np.arange(1, len(values))
    high = len(values) - low
    sums = np.cumsum(centred)[:-1]
    score = np.abs(sums) / np.sqrt(low * high)
    score[:AT_LEAST] = score[-AT_LEAST:] = 0
    at = int(score.argmax())
    return float(sums[at] / low[at] + sums[at] / high[at]), thresholds <= thresholds[order[at]]
