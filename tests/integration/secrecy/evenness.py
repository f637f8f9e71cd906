"""Whether two sets of transcripts look alike: a chi-square test of homogeneity over the bytes of each message.

What a worker receives has the same distribution whatever the input, so the bytes of one message, counted over many
runs, differ between two inputs by chance only. The statistic has (kinds of bytes - 1) degrees of freedom; `deviation`
turns it into standard deviations of a normal distribution (Wilson and Hilferty, 1931).

A deviation of more than `LARGEST` has, by chance, 4 in 10^11 of all messages. Less than 4,000 are compared in all tests
of a run, so that these fail without a reason less than once in 10^6 runs. What a missing mask gives is shown by tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.integration.secrecy.transcript import Run

LARGEST = 6.5

MOST_WORDS = 1 << 23
"""Among n random words n(n-1)/2 · 2^-64 pairs are expected to be equal (birthday bound): of so many 2 · 10^-6, and two
pairs or more with a chance of 2 · 10^-12. One pair is put up with."""

LEAST_COUNT = 5
"""Bytes that are expected less often in a sample are counted together, since chi-square does not hold for them."""


def equal_beyond_chance(words: NDArray[np.uint64]) -> bool:
    """Whether more words are equal than MOST_WORDS random ones ever are."""
    assert len(words) <= MOST_WORDS
    ordered = np.sort(words)
    return int((ordered[1:] == ordered[:-1]).sum()) > 1


def deviations(one: Sequence[Run], other: Sequence[Run]) -> list[float]:
    """The deviation of every message, in the order of the messages, and last that of the request's shares."""
    return [
        deviation_of([run.messages[number] for run in one], [run.messages[number] for run in other])
        for number in range(len(one[0].messages))
    ] + [deviation_of([b"".join(run.request) for run in one], [b"".join(run.request) for run in other])]


def deviation_of(one: Sequence[bytes], other: Sequence[bytes]) -> float:
    """The deviation of one message, seen many times or long enough."""
    return deviation(_counts(one), _counts(other))


def deviation(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """How far two counts of 256 bytes are from being of one distribution, in standard deviations."""
    both = (one + other).astype(float)
    if not both.any():
        return 0.0
    share = one.sum() / both.sum()
    rare = both * min(share, 1 - share) < LEAST_COUNT
    observed = np.append(one[~rare], one[rare].sum())
    both = np.append(both[~rare], both[rare].sum())
    observed, both = observed[both > 0], both[both > 0]
    freedom = len(both) - 1
    if freedom == 0:
        return 0.0
    statistic = ((observed - share * both) ** 2 / (share * (1 - share) * both)).sum()
    spread = 2 / (9 * freedom)
    return float(((statistic / freedom) ** (1 / 3) - (1 - spread)) / np.sqrt(spread))


def _counts(messages: Sequence[bytes]) -> NDArray[np.int64]:
    return np.bincount(np.frombuffer(b"".join(messages), np.uint8), minlength=256)
