"""What a worker receives is new in every request, and says nothing of the input, even beside all that it knows itself.

Words are compared at their places in the messages. Two equal ones among N requests are expected N(N-1)/2 · 2^-64 times
a word: less than 10^-11 times in all that follows, so none may be found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.secrecy.conftest import SPOILED_TIMES, TIMES, Honest, Spoiled
from tests.integration.secrecy.evenness import deviations
from tests.integration.secrecy.transcript import Run

LARGEST_DEVIATION = 6.5
"""In standard deviations: by chance beyond it are 4 · 10^-11 of all messages; there are some 200 in all tests."""

workers = pytest.mark.parametrize("party", range(3))


def repeated_words(runs: Sequence[Run]) -> list[NDArray[np.uint64]]:
    """For each message, the words that stand at the same place in several of the runs."""
    repeated = []
    for messages in zip(*(run.messages for run in runs), strict=True):
        words = np.sort(np.stack([np.frombuffer(data, "<u8", len(data) // 8) for data in messages]), axis=0)
        repeated.append(np.unique(words[1:][words[1:] == words[:-1]]))
    return repeated


def count(words: Sequence[NDArray[np.uint64]]) -> int:
    return sum(map(len, words))


def distinct(runs: Sequence[Run]) -> int:
    return len({b"".join(run.messages) for run in runs})


@workers
def test_the_same_digit_fifty_times_is_fifty_different_transcripts(honest: Honest, party: int) -> None:
    runs = honest.fresh_shares(party)
    assert len(runs) == TIMES
    assert distinct(runs) == TIMES
    assert len({b"".join(run.request) for run in runs}) == TIMES
    assert count(repeated_words(runs)) == 0


@workers
def test_the_very_same_shares_fifty_times_are_fifty_different_transcripts(honest: Honest, party: int) -> None:
    runs = honest.same_shares(party)
    assert len({b"".join(run.request) for run in runs}) == 1, "the test sends other shares"
    assert distinct(runs) == TIMES
    assert count(repeated_words(runs)) == 0


@workers
def test_masks_that_are_never_made_anew_would_be_noticed(spoiled: Spoiled, party: int) -> None:
    runs = spoiled.frozen(party)
    assert distinct(runs) == 1
    assert all(map(len, repeated_words(runs)))


@workers
def test_a_worker_receives_nothing_new_twice_even_if_all_that_it_knows_itself_stays_the_same(
    spoiled: Spoiled, party: int
) -> None:
    blank, noise = spoiled.given_own_knowledge(party, masks=True)
    assert len({b"".join(run.request) for run in (*blank, *noise)}) == 1, "its shares of the input change"
    assert distinct([*blank, *noise]) == 2 * SPOILED_TIMES
    own = np.concatenate([np.frombuffer(made, "<u8") for made in blank[0].keystreams])
    assert all(np.isin(words, own).all() for words in repeated_words([*blank, *noise]))


@workers
def test_messages_look_alike_for_a_digit_and_for_noise(honest: Honest, party: int) -> None:
    assert max(deviations(honest.fresh_shares(party), honest.of_noise(party))) < LARGEST_DEVIATION


@workers
def test_messages_look_alike_for_a_blank_image_and_for_noise_given_all_that_a_worker_knows_itself(
    spoiled: Spoiled, party: int
) -> None:
    assert max(deviations(*spoiled.given_own_knowledge(party, masks=True))) < LARGEST_DEVIATION


@workers
def test_masks_of_zeros_between_the_other_two_would_be_noticed(spoiled: Spoiled, party: int) -> None:
    given_masks, _ = spoiled.given_own_knowledge(party, masks=True)
    blank, noise = spoiled.given_own_knowledge(party, masks=False)
    own = np.concatenate([np.frombuffer(made, "<u8") for made in given_masks[0].keystreams])
    assert not all(np.isin(words, own).all() for words in repeated_words(blank))
    assert max(deviations(blank, noise)) > 3 * LARGEST_DEVIATION
