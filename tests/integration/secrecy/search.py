"""Looks for secret numbers in what a worker received, in every form in which they could stand there.

Forms, at every byte offset: the fixed point word (64 bits, either byte order), float64 (either byte order), two
neighbouring float32 (one alone has 32 bits, which chance alone would find), and decimal text. Words near zero are left
out: they are found wherever there are zero bytes, and give nothing away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.fixedpoint import fixed_point

LEAST_WORD = 2**12

NUMBERS = fixed_point("ABY3")

LEAST_VALUE = LEAST_WORD / NUMBERS.scale

SHORT_TEXT, LONG_TEXT, IN_A_ROW = 5, 10, 4
"""A number of at least LONG_TEXT characters tells by itself; shorter ones do if IN_A_ROW of them follow one another,
since logs count things too. Still shorter ones are passed over."""

NUMBER = re.compile(rb"-?[0-9](?:[0-9.]|e-)*[0-9]")

PIECE = 1 << 20


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
    """Numbers to look for, by kind (weights, input, logits)."""

    def __init__(self, kinds: Mapping[str, Iterable[NDArray[np.floating]]]) -> None:
        patterns: dict[int, Hit] = {}
        self._texts: dict[bytes, str] = {}
        for kind, arrays in kinds.items():
            for array in arrays:
                for form, found in _patterns(array).items():
                    patterns |= dict.fromkeys(found.tolist(), Hit(kind, form))
                self._texts |= dict.fromkeys(_texts(array), kind)
        self._patterns = np.array(sorted(patterns), np.uint64)
        self._hits = [patterns[int(pattern)] for pattern in self._patterns]
        self._filter = np.zeros(1 << 24, bool)
        self._filter[_hash(self._patterns)] = True

    @property
    def size(self) -> int:
        """Number of patterns of 64 bits."""
        return len(self._patterns)

    def expected_by_chance(self, size: int) -> float:
        """How many patterns `size` random bytes are expected to hold."""
        return self.size * size / 2**64

    def find(self, data: bytes) -> set[Hit]:
        """What is found anywhere in `data`."""
        return self._find_patterns(data) | self._find_texts(data)

    def _find_patterns(self, data: bytes) -> set[Hit]:
        found: set[Hit] = set()
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE + 7]
            for offset in range(min(8, len(piece) - 7)):
                words = np.frombuffer(piece, "<u8", (len(piece) - offset) // 8, offset)
                words = words[self._filter[_hash(words)]]
                at = np.minimum(np.searchsorted(self._patterns, words), self.size - 1)
                found |= {self._hits[i] for i in at[self._patterns[at] == words]}
        return found

    def _find_texts(self, data: bytes) -> set[Hit]:
        found: set[Hit] = set()
        in_a_row = 0
        for match in NUMBER.finditer(data):
            if len(match[0]) < SHORT_TEXT:
                continue
            kind = self._texts.get(match[0])
            in_a_row = in_a_row + 1 if kind else 0
            if kind and (len(match[0]) >= LONG_TEXT or in_a_row >= IN_A_ROW):
                found.add(Hit(kind, Form.TEXT))
        return found


def _patterns(array: NDArray[np.floating]) -> dict[Form, NDArray[np.uint64]]:
    values = array.ravel().astype(np.float64)
    words = np.rint(values * NUMBERS.scale).astype(np.int64)
    words = np.unique(words[np.abs(words) >= LEAST_WORD])
    doubles = np.unique(values[np.abs(values) >= LEAST_VALUE])
    singles = values.astype("<f4")
    pairs = np.stack([singles[:-1], singles[1:]], 1)
    pairs = pairs[(np.abs(pairs) >= LEAST_VALUE).all(1)]
    return {
        Form.WORD: words.astype("<i8").view("<u8"),
        Form.WORD_BIG_ENDIAN: words.astype(">i8").view("<u8"),
        Form.FLOAT64: doubles.astype("<f8").view("<u8"),
        Form.FLOAT64_BIG_ENDIAN: doubles.astype(">f8").view("<u8"),
        Form.FLOAT32_PAIR: pairs.copy().view("<u8").ravel(),
    }


def _texts(array: NDArray[np.floating]) -> set[bytes]:
    texts: set[str] = set()
    for value in np.unique(array).tolist():
        if abs(value) >= LEAST_VALUE:
            texts |= {repr(value), str(np.float32(value)), f"{value:.6f}", str(round(value * NUMBERS.scale))}
    return {text.encode() for text in texts if len(text) >= SHORT_TEXT}


def _hash(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
