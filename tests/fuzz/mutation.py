"""Inputs that are almost right: valid ones with a few things changed, as bytes or as JSON documents; and noise.

Everything is drawn from the given generator, so that the number of an input is enough to make it again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NUMBERS = (0, 1, -1, 2, 3, 7, 8, 255, 256, 2**16, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30)

TEXTS = ("", "x", "0", "-1", "x" * 300, "\ud800", "\0", "../..", "Ⅷ", "NaN", "https://[", "\n")

TOKENS = (
    b"null",
    b"NaN",
    b"Infinity",
    b"1e999",
    b"-0",
    b"[]",
    b"{}",
    b'""',
    b"[" * 2000,
    b"\\ud800",
    b"\x00",
    b"9" * 5000,
)
"""What parsers of JSON stumble over."""


def scalar(random: Random) -> Any:
    """A value of JSON that is seldom right."""
    match random.randrange(9):
        case 0:
            return None
        case 1:
            return random.random() < 0.5
        case 2 | 3:
            return random.choice(NUMBERS)
        case 4:
            return random.choice((0.5, -1.5, 1e308, 1e-308, float("inf"), float("nan"), 3.0))
        case 5:
            return random.choice(
                ("", "x", "0", "-1", "x" * 300, "\ud800", "\0", "../..", "Ⅷ", "NaN", "https://[", "\n")
            )
        case 6:
            return []
        case 7:
            return {}
        case _:
            return [random.choice(NUMBERS) for _ in range(random.randrange(10))]


def document(random: Random, seeds: Sequence[Any]) -> Any:
    """A valid document with one to four changes."""
    changed = copy.deepcopy(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        changed = _change(random, changed, seeds)
    return changed


def _change(random: Random, root: Any, seeds: Sequence[Any]) -> Any:
    """Walk down to some place, and change what is there."""
    place, key, value = None, None, root
    while isinstance(value, dict | list) and value and (place is None or random.random() < 0.8):
        place = value
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        value = place[key]
    if place is None:
        return scalar(random)
    match random.randrange(8):
        case 0:
            del place[key]  # type: ignore[arg-type]
        case 1 if isinstance(place, dict):
            place[random.choice((*place, "unknown", ""))] = scalar(random)
        case 1:
            place.insert(key, copy.deepcopy(value))  # type: ignore[union-attr, arg-type]
        case 2:
            place[key] = copy.deepcopy(_part(random, random.choice(seeds)))  # type: ignore[index]
        case 3:
            place[key] = [value]  # type: ignore[index]
        case 4 if type(value) is int:
            place[key] = value + random.choice((-1, 1, 2**32, -value, value))  # type: ignore[index]
        case 5 if isinstance(value, str) and value:
            at = random.randrange(len(value))
            place[key] = value[:at] + random.choice(("", "é", "/", " ", value, "\0")) + value[at + 1 :]  # type: ignore[index]
        case _:
            place[key] = scalar(random)  # type: ignore[index]
    return root


def _part(random: Random, value: Any) -> Any:
    """Some place of a document, however deep."""
    while isinstance(value, dict | list) and value and random.random() < 0.7:
        value = random.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


def text(document: Any) -> bytes:
    """As JSON; Python's own reader takes NaN and lone surrogates, so this writes them."""
    return json.dumps(document).encode()


def octets(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A valid input with one to four changes of its bytes, or (one in sixteen) noise."""
    if not random.randrange(16):
        return random.randbytes(random.choice((0, 1, 3, 4, 8, 40, 400)))
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        random.choice(_CHANGES)(random, data, seeds)
    return bytes(data)


def _bit(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(
            (0, 1, 0x7F, 0x80, 0xFF, 0x5B, 0x7B, 0x22, random.randrange(256))
        )


def _number(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    """A length, an offset or a count, in either order of bytes."""
    size = random.choice((1, 2, 4, 8))
    at = random.randrange(len(data) + 1)
    number = (random.choice(NUMBERS) % 2 ** (8 * size)).to_bytes(size, random.choice(("little", "big")))
    data[at : at + size] = number


def _cut(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _remove(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    del data[at : at + random.choice((1, 2, 8, 64))]


def _repeat(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = data[at : at + random.choice((1, 8, 64, 1024))]


def _token(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    data[at : at + random.choice((0, 1, 4))] = random.choice(TOKENS)


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    start, at = random.randrange(len(other) + 1), random.randrange(len(data) + 1)
    data[at : at + random.choice((0, 16, 256))] = other[start : start + random.choice((4, 16, 256))]


_CHANGES: Sequence[Callable[[Random, bytearray, Sequence[bytes]], None]] = (
    _bit,
    _bit,
    _byte,
    _number,
    _number,
    _cut,
    _remove,
    _repeat,
    _token,
    _splice,
)
