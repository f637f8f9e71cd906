"""What a worker receives is new in every request, and says nothing of model or input, even beside all that it knows.

Words at their places in the messages: two equal ones among N requests are expected N(N-1)/2 · 2^-64 times a word, less
than 10^-8 times in all that follows, so none may be found. Of words anywhere in all messages see `evenness.MOST_WORDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import MODEL
from tests.integration.secrecy.conftest import SAME_TIMES, SPOILED_TIMES, Honest, Spoiled
from tests.integration.secrecy.evenness import LARGEST, deviation_of, deviations, equal_beyond_chance
from tests.integration.secrecy.recording import Recording
from tests.integration.secrecy.transcript import Run, words_of
from triveni.mpc.sharing import components_of
from triveni.sharing.keras_file import read_model
from triveni.sharing.shares import split_model

workers = pytest.mark.parametrize("party", range(3))


def pairs_of(message: bytes) -> NDArray[np.uint64]:
    """A word for every two: residues mod 37 have 2^42 values a word, too few to be all different, and 2^83 a pair."""
    words = words_of(message)
    even = words[: len(words) // 2 * 2]
    return even[::2] * np.uint64(0x9E3779B97F4A7C15) + even[1::2]


def repeated_words(
    runs: Sequence[Run], of: Callable[[bytes], NDArray[np.uint64]] = words_of
) -> list[NDArray[np.uint64]]:
    """For each message, the words that stand at the same place in several of the runs."""
    repeated = []
    for messages in zip(*(run.messages for run in runs), strict=True):
        words = np.sort(np.stack([of(data) for data in messages]), axis=0)
        repeated.append(np.unique(words[1:][words[1:] == words[:-1]]))
    return repeated


def count(words: Sequence[NDArray[np.uint64]]) -> int:
    return sum(map(len, words))


def distinct(runs: Sequence[Run]) -> int:
    return len({b"".join(run.messages) for run in runs})


@workers
def test_the_same_digit_is_another_transcript_each_time(honest: Honest, party: int) -> None:
    runs = honest.fresh_shares(party)
    assert distinct(runs) == len(runs)
    requests = {b"".join(run.request) for run in runs}
    assert len(requests) == (len(runs) if components_of(party, honest.protocol) else 1)
    assert count(repeated_words(runs, pairs_of)) == 0


@workers
def test_the_very_same_shares_two_hundred_times_are_two_hundred_different_transcripts(
    honest: Honest, party: int
) -> None:
    runs = honest.same_shares(party)
    assert len({b"".join(run.request) for run in runs}) == 1, "the test sends other shares"
    assert len(runs) == distinct(runs) == SAME_TIMES == 200
    assert count(repeated_words(runs, pairs_of)) == 0


@workers
def test_no_word_of_two_hundred_transcripts_stands_in_them_twice(honest: Honest, party: int) -> None:
    words = np.concatenate([pairs_of(message) for run in honest.same_shares(party) for message in run.messages])
    assert len(words) > 200 * 2_500
    assert not equal_beyond_chance(words)
    assert equal_beyond_chance(np.concatenate([words, words[:2]]))


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
    assert max(deviations(honest.fresh_shares(party), honest.of_noise(party))) < LARGEST


@workers
def test_messages_look_alike_for_two_models(honest: Honest, other: Recording, party: int) -> None:
    assert max(deviations(honest.fresh_shares(party), other.runs(party))) < LARGEST


@workers
def test_what_is_received_once_for_an_epoch_looks_alike_for_two_models(
    honest: Honest, other: Recording, party: int
) -> None:
    (text, one), (other_text, another) = honest.recording.shares(party), other.shares(party)
    assert text == other_text
    assert deviation_of([one], [another]) < LARGEST
    setups = honest.recording.setup(party), other.setup(party)
    assert bool(setups[0]) == (honest.protocol == "SecureNN" and party < 2), "who opens masked weights"
    for mine, theirs in zip(*setups, strict=True):
        assert len(mine) == len(theirs)
        assert deviation_of([mine], [theirs]) < LARGEST
        assert len(np.unique(words_of(mine))) == len(words_of(mine))


def test_a_sharing_job_that_masks_nothing_would_be_noticed(
    honest: Honest, canary_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triveni.mpc.sharing.os.urandom", bytes)
    for party in range(3):
        handed = [
            b"".join(tensor.data.tobytes() for tensor in split_model(read_model(path), honest.protocol).tensors[party])
            for path in (MODEL, canary_model)
        ]
        if any(map(any, handed)):
            assert deviation_of([handed[0]], [handed[1]]) > 3 * LARGEST


@workers
def test_messages_look_alike_for_a_blank_image_and_for_noise_given_all_that_a_worker_knows_itself(
    spoiled: Spoiled, party: int
) -> None:
    assert max(deviations(*spoiled.given_own_knowledge(party, masks=True))) < LARGEST


@workers
def test_masks_of_zeros_between_the_other_two_would_be_noticed(spoiled: Spoiled, party: int) -> None:
    given_masks, _ = spoiled.given_own_knowledge(party, masks=True)
    blank, noise = spoiled.given_own_knowledge(party, masks=False)
    own = np.concatenate([np.frombuffer(made, "<u8") for made in given_masks[0].keystreams])
    assert not all(np.isin(words, own).all() for words in repeated_words(blank))
    assert max(deviations(blank, noise)) > 3 * LARGEST
