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
        thresholds: of each value and request, in parts of what is taken away, with the dithers that it knows.
    """

    bits: int
    thresholds: Floats


def truncations(requests: Requests, party: int) -> Sequence[Seen]:
    """Those of a program, in order, as far as a worker knows their thresholds."""
    seen = []
    falls = party == (2 if requests.program.protocol == "ABY3" else 1)
    for node in truncation_nodes(requests.program, party):
        bits = node.inputs[1].attrs["value"]
        low = (requests.values[node.inputs[0]] & (2**bits - 1)).reshape(len(requests), -1) / 2.0**bits
        seen.append(Seen(bits, (1 - low if falls else low) - known_dither(requests, party, node) / 2.0**bits))
    return seen


def truncation_nodes(program: Program, party: int) -> Sequence[Node]:
    """The shifts of words whose low bits are thresholds, which a worker knows (or 1 minus them).

    ABY3: workers 0 and 1 open x + r, of which worker 2 has drawn r. SecureNN: workers 0 and 1 shift their shares.
    """
    place = 0 if (program.protocol, party) == ("ABY3", 1) else party
    return [
        node
        for node in program.nodes
        if node.op == "sar"
        and node.party == place
        and node.inputs[0].op != "and"
        and node.inputs[1].attrs["value"] != SIGN
    ]


def known_dither(requests: Requests, party: int, truncation: Node) -> Floats:
    """The sum of the dithers of a truncation that a worker knows, each about its mean, (rows, values)."""
    known = {
        draw: requests.values[node].reshape(len(requests), -1) - (node.inputs[1].attrs["value"] + 1) / 2
        for node, draw in dithers(requests.program, truncation)
        if party in draw.holders
    }
    return np.asarray(sum(known.values(), np.zeros((len(requests), 1))))


def dithers(program: Program, truncation: Node) -> Iterator[tuple[Node, Draw]]:
    """The low bits of a draw that are added before a truncation, and the draw; by whichever worker.

    No two truncations of the network have one shape and take away as many bits.
    """
    mask = 2 ** truncation.inputs[1].attrs["value"] - 1
    for node in program.nodes:
        draw = node.inputs[0].draw if node.op == "and" and node.shape == truncation.shape else None
        if draw is not None and node.inputs[1].attrs["value"] == mask:
            yield node, draw


def weights_of_last_layer(requests: Requests, party: int) -> Floats:
    """An estimate of the last layer's kernel, from requests that all have one input of which all units are active."""
    hidden, *_ = truncations(requests, party)
    answers, thresholds = unrounded(requests, party), hidden.thresholds % 1
    steps = np.zeros(thresholds.shape[1])
    fitted = np.zeros(thresholds.shape)
    for _ in range(SWEEPS):
        for unit, of_unit in enumerate(thresholds.T):
            rest = answers - fitted.sum(1) + fitted[:, unit]
            steps[unit], up = _step(rest, of_unit)
            fitted[:, unit] = steps[unit] * up
    return steps


def unrounded(requests: Requests, party: int) -> Floats:
    """Each answer without what the worker knows of how it was rounded, in the protocol's words: evenly off."""
    _, *outer = truncations(requests, party)
    values = requests.answers.astype(np.float64)
    for seen in reversed(outer):
        values = (values + seen.thresholds[:, 0] - 1 / 2) * 2.0**seen.bits
    return values / 2.0 ** outer[0].bits


def bracket(requests: Requests, party: int) -> tuple[float, float]:
    """Bounds of the one answer of all requests before it was rounded off, in the protocol's words.

    They are right if the worker knows every dither; if not, the lower one comes to lie above the upper one.
    """
    last = truncations(requests, party)[-1]
    low = (requests.answers - 1 + last.thresholds[:, 0]) * 2.0**last.bits
    return float(low.max()), float(low.min() + 2.0**last.bits)


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
