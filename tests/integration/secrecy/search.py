"""Looks for secret numbers in what a worker received or holds, in every form in which they could stand there.

Forms, at every byte offset: the fixed point word (64 bits, either byte order), float64 (either byte order), two
neighbouring float32 (one alone has 32 bits, which chance alone would find), and decimal text. Words near zero are left
out: they are found wherever there are zero bytes, and give nothing away.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.fixedpoint import fixed_point

LEAST_WORD = 2**12

SHORT_TEXT, LONG_TEXT, IN_A_ROW = 5, 10, 8
"""A number of at least LONG_TEXT characters tells by itself; shorter ones do if IN_A_ROW different ones follow one
another, since logs count things too. Still shorter ones are passed over. Of the digits that stand in a random id, one
in twenty is some weight's word: 4 in a row came by chance in one of several runs."""

NUMBER = re.compile(rb"-?[0-9](?:[0-9.]|e-)*[0-9]")

PIECE = 1 << 20

FILTER_FACTOR = 32
"""Most words are not looked for, which a table of this many bits a pattern, still in the cache, tells at once."""


Label = TypeVar("Label", bound=Hashable)


class Patterns(Generic[Label]):
    """Words of 64 bits to look for, each with a label."""

    def __init__(self, labelled: Iterable[tuple[Label, NDArray[np.uint64]]]) -> None:
        labels: dict[int, Label] = {}
        for label, words in labelled:
            labels |= dict.fromkeys(words.ravel().tolist(), label)
        self._words = np.array(sorted(labels), np.uint64)
        self._labels = [labels[int(word)] for word in self._words]
        bits = max(16, (FILTER_FACTOR * len(self._words)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._filter = np.zeros(1 << bits, bool)
        self._filter[self._hash(self._words)] = True

    def __len__(self) -> int:
        return len(self._words)

    def find(self, data: bytes) -> Iterator[tuple[int, Label]]:
        """Where each stands in `data`, at any byte; in no order."""
        if not self._labels:
            return
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE + 7]
            for offset in range(min(8, len(piece) - 7)):
                words = np.frombuffer(piece, "<u8", (len(piece) - offset) // 8, offset)
                places = np.flatnonzero(self._filter[self._hash(words)])
                words = words[places]
                at = np.minimum(np.searchsorted(self._words, words), len(self) - 1)
                found = self._words[at] == words
                for place, word in zip(places[found].tolist(), at[found].tolist(), strict=True):
                    yield start + offset + 8 * place, self._labels[word]

    def _hash(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return (words * np.uint64(0x9E3779B97F4A7C15)) >> self._shift


class Form(StrEnum):
    """How a secret number stands somewhere."""

    WORD = "fixed point word"
    WORD_BIG_ENDIAN = "fixed point word, big-endian"
    FLOAT64 = "float64"
    FLOAT64_BIG_ENDIAN = "float64, big-endian"
    FLOAT32_PAIR = "two float32"
    TEXT = "decimal text"


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret of a kind, found in some form."""

    kind: str
    form: Form


class Secrets:
    """Numbers to look for, by kind (weights, input, logits), as they are in one protocol."""

    def __init__(self, kinds: Mapping[str, Iterable[NDArray[np.floating]]], protocol: str) -> None:
        scale = fixed_point(protocol).scale
        self._texts: dict[bytes, str] = {}
        labelled: list[tuple[Hit, NDArray[np.uint64]]] = []
        for kind, arrays in kinds.items():
            for array in arrays:
                labelled += ((Hit(kind, form), words) for form, words in _patterns(array, scale).items())
                self._texts |= dict.fromkeys(_texts(array, scale), kind)
        self._patterns = Patterns(labelled)

    def expected_by_chance(self, size: int) -> float:
        """How many patterns `size` random bytes are expected to hold."""
        return len(self._patterns) * size / 2**64

    def find(self, data: bytes) -> set[Hit]:
        """What is found anywhere in `data`."""
        return {hit for _, hit in self._patterns.find(data)} | self._find_texts(data)

    def _find_texts(self, data: bytes) -> set[Hit]:
        found: set[Hit] = set()
        in_a_row: set[bytes] = set()
        for match in NUMBER.finditer(data):
            if len(match[0]) < SHORT_TEXT:
                continue
            kind = self._texts.get(match[0])
            in_a_row = in_a_row | {match[0]} if kind else set()
            if kind and (len(match[0]) >= LONG_TEXT or len(in_a_row) >= IN_A_ROW):
                found.add(Hit(kind, Form.TEXT))
        return found


def _patterns(array: NDArray[np.floating], scale: float) -> dict[Form, NDArray[np.uint64]]:
    values = array.ravel().astype(np.float64)
    least = LEAST_WORD / scale
    words = np.rint(values * scale).astype(np.int64)
    words = np.unique(words[np.abs(words) >= LEAST_WORD])
    doubles = np.unique(values[np.abs(values) >= least])
    singles = values.astype("<f4")
    pairs = np.stack([singles[:-1], singles[1:]], 1)
    pairs = pairs[(np.abs(pairs) >= least).all(1)]
    return {
        Form.WORD: words.astype("<i8").view("<u8"),
        Form.WORD_BIG_ENDIAN: words.astype(">i8").view("<u8"),
        Form.FLOAT64: doubles.astype("<f8").view("<u8"),
        Form.FLOAT64_BIG_ENDIAN: doubles.astype(">f8").view("<u8"),
        Form.FLOAT32_PAIR: pairs.copy().view("<u8").ravel(),
    }


def _texts(array: NDArray[np.floating], scale: float) -> set[bytes]:
    texts: set[str] = set()
    for value in np.unique(array).tolist():
        if abs(value) >= LEAST_WORD / scale:
            texts |= {repr(value), str(np.float32(value)), f"{value:.6f}", str(round(value * scale))}
    return {text.encode() for text in texts if len(text) >= SHORT_TEXT}
