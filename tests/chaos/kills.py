"""Who is killed when: drawn beforehand for each epoch from the seed, so that the same seed kills in the same places.

How far everybody has got at that moment depends on the machine.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from triveni.local.epoch import COMPILE, SHARE, START

T = TypeVar("T")


class Victims(StrEnum):
    """Whom a strike hits."""

    ONE = "one worker"
    TWO = "two workers"
    THREE = "three workers"
    SHARING = "the sharing process"
    CONTROLLER = "the controller"


WORKERS = {Victims.ONE: 1, Victims.TWO: 2, Victims.THREE: 3}

SERVING, OVER, CHARGED = "serving", "over", "charged"


@dataclass(frozen=True)
class Strike:
    """SIGKILL to `victims`, `seconds` after the controller said that it is at `moment` (empty: after the last strike).

    `parties` says which workers come first.
    """

    moment: str
    seconds: float
    victims: Victims
    parties: tuple[int, ...]


_MOMENTS: Mapping[str, tuple[float, float, Mapping[Victims, float]]] = {
    # moment: how often, seconds at most, whom
    "granted": (3, 0.05, {Victims.CONTROLLER: 1}),
    START: (20, 1.5, {Victims.CONTROLLER: 4, Victims.ONE: 4, Victims.TWO: 1, Victims.THREE: 1, Victims.SHARING: 4}),
    COMPILE: (13, 0.8, {Victims.CONTROLLER: 2, Victims.ONE: 2, Victims.TWO: 1, Victims.THREE: 1, Victims.SHARING: 6}),
    SHARE: (10, 0.06, {Victims.CONTROLLER: 2, Victims.ONE: 3, Victims.TWO: 1, Victims.SHARING: 6}),
    SERVING: (46, 4.0, {Victims.CONTROLLER: 5, Victims.ONE: 12, Victims.TWO: 2, Victims.THREE: 0.5}),
    OVER: (5, 0.01, {Victims.CONTROLLER: 1}),
    CHARGED: (3, 0.01, {Victims.CONTROLLER: 1}),
}

SECOND = 0.4
"""How often a second strike follows the first, while the others drain, erase and report."""

_SECOND_S = (0.001, 0.6)

_SECOND_VICTIMS = {Victims.CONTROLLER: 4, Victims.ONE: 4, Victims.TWO: 0.5}


def plan(seed: str) -> tuple[Strike, ...]:
    """The strikes of one epoch, in order. The last but one, if nothing was hit before, falls while it serves."""
    chance = random.Random(seed)
    moment = _pick(chance, {moment: often for moment, (often, _, _) in _MOMENTS.items()})
    first = _strike(chance, moment)
    strikes = [first] if moment == SERVING else [first, _strike(chance, SERVING)]
    if chance.random() < SECOND:
        low, high = _SECOND_S
        seconds = low * (high / low) ** chance.random()
        strikes.append(Strike("", seconds, _pick(chance, _SECOND_VICTIMS), _order(chance)))
    return tuple(strikes)


def _strike(chance: random.Random, moment: str) -> Strike:
    _, most, victims = _MOMENTS[moment]
    return Strike(moment, chance.uniform(0, most), _pick(chance, victims), _order(chance))


def _order(chance: random.Random) -> tuple[int, ...]:
    return tuple(chance.sample(range(3), 3))


def _pick(chance: random.Random, weights: Mapping[T, float]) -> T:
    return chance.choices(list(weights), list(weights.values()))[0]
