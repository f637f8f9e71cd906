"""A canary: a model whose weights are one number, an input of one number, and all forms in which these can be found.

Forms, at every byte: three fixed-point words in a row (either protocol's scale, either byte order), or one alone where
it is of `RARE` bits and more, since a smaller one is found wherever something is counted; one float64 (either byte
order; no other number of these processes has its 53 bits); three float32 in a row; decimal text of the number, or of
its word three times in a row.

By chance one of these few hundred patterns, of 64 bits or more, is found in 100 MB of random bytes 10^-9 times.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from tests.integration.cluster import MODEL
from tests.integration.secrecy.search import Form, Hit, Patterns
from triveni.mpc.fixedpoint import FIXED_POINT
from triveni.mpc.lowering import lower
from triveni.sharing.keras_file import read_model

WEIGHT, BIAS, PIXEL = (float(np.float32(number)) for number in (0.03718271, 101.33719177, 0.72310519))
"""Small enough for the answers to fit; the last layer's biases are the one that is large enough to be rare alone."""

RARE = 2**26

IN_A_ROW = 3

IMAGE: NDArray[np.float64] = np.full((28, 28, 1), PIXEL)


def write_model(path: Path) -> Path:
    """The example with other weights."""
    with zipfile.ZipFile(MODEL) as example, zipfile.ZipFile(path, "w") as changed:
        for name in example.namelist():
            content = example.read(name)
            changed.writestr(name, _filled(content) if name.endswith(".h5") else content)
    return path


def _filled(weights: bytes) -> bytes:
    buffer = io.BytesIO(weights)
    with h5py.File(buffer, "r+") as file:

        def fill(_name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                item[...] = BIAS if item.parent.attrs.get("name") == "logit" and item.ndim == 1 else WEIGHT

        file.visititems(fill)
    return buffer.getvalue()


class Canary:
    """What to look for, and where it is."""

    def __init__(self, model: Path) -> None:
        read = read_model(model)
        stored = [array for arrays in read.weights.values() for array in arrays]
        computed = lower(read.architecture).encode(read.weights).values()
        weights = {float(number) for array in (*stored, *computed) for number in np.unique(array)} - {0.0}
        self._needles: dict[bytes, Hit] = {}
        for kind, numbers in {"weights": weights, "input": {PIXEL}}.items():
            for needle, form in _needles(numbers):
                self._needles[needle] = Hit(kind, form)
        self._long: dict[bytes, list[bytes]] = {}
        for needle in self._needles:
            self._long.setdefault(needle[:8], []).append(needle)

    def patterns(self) -> Mapping[bytes, list[bytes]]:
        """The beginnings of the needles, 8 bytes each, and the needles."""
        return self._long

    def find(self, pieces: Iterable[bytes]) -> set[Hit]:
        """What is found anywhere in the pieces."""
        return Search(self, {}).find(pieces)[0]

    def hits(self, data: bytes, at: int, beginning: bytes) -> set[Hit]:
        """Which needles with this beginning stand at a place."""
        return {self._needles[needle] for needle in self._long[beginning] if data.startswith(needle, at)}


class Search:
    """A canary, and words of other kinds (a worker's shares and keys), looked for together."""

    def __init__(self, canary: Canary, words: Mapping[str, NDArray[np.uint64]]) -> None:
        self._canary = canary
        beginnings = [(begin, np.frombuffer(begin, "<u8")) for begin in canary.patterns()]
        self._patterns: Patterns[str | bytes] = Patterns([*words.items(), *beginnings])

    def find(self, pieces: Iterable[bytes]) -> tuple[set[Hit], dict[str, int]]:
        """Hits of the canary, and the number of words of each other kind that were found."""
        hits: set[Hit] = set()
        counts: dict[str, int] = {}
        for data in pieces:
            for at, label in self._patterns.find(data):
                if isinstance(label, bytes):
                    hits |= self._canary.hits(data, at, label)
                else:
                    counts[label] = counts.get(label, 0) + 1
        return hits, counts


def _needles(numbers: Iterable[float]) -> Iterator[tuple[bytes, Form]]:
    for number in numbers:
        for numbers_of in FIXED_POINT.values():
            word = round(number * numbers_of.scale)
            times = 1 if abs(word) >= RARE else IN_A_ROW
            yield word.to_bytes(8, "little", signed=True) * times, Form.WORD
            yield word.to_bytes(8, "big", signed=True) * times, Form.WORD_BIG_ENDIAN
            for comma in (" ", ",", ", "):
                yield comma.join([str(word)] * IN_A_ROW).encode(), Form.TEXT
        yield np.float64(number).astype("<f8").tobytes(), Form.FLOAT64
        yield np.float64(number).astype(">f8").tobytes(), Form.FLOAT64_BIG_ENDIAN
        yield np.full(IN_A_ROW, number, "<f4").tobytes(), Form.FLOAT32_PAIR
        for text in {repr(number), str(np.float32(number)), f"{number:.8f}"}:
            yield text.encode(), Form.TEXT
