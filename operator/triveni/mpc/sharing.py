"""How a protocol shares a secret in the ring mod 2^64: components that add up to it, and which party holds which.

ABY3: three components of which any two are uniform; party p holds components p and p+1 mod 3 (replicated sharing: Araki
et al., CCS 2016), so any two parties hold it all. SecureNN: two components, each uniform; party 0 holds one, party 1
the other, and party 2, which helps, none (Wagh et al., PETS 2019). In both, one party alone learns nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int64]

HELD: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "ABY3": ((0, 1), (1, 2), (2, 0)),
    "SecureNN": ((0,), (1,), ()),
}
"""The numbers of the components that each party holds, in the order in which it is given them."""


def components_of(party: int, protocol: str = "ABY3") -> tuple[int, ...]:
    """The numbers of the components that a party holds; KeyError for an unknown protocol."""
    return HELD[protocol][party]


def component_names(party: int, protocol: str) -> tuple[str, ...]:
    """What the tensors with these components are called in requests, answers and the model's description."""
    return tuple(f"component_{component}" for component in components_of(party, protocol))


def component_count(protocol: str) -> int:
    """How many components a secret is the sum of."""
    return 1 + max(component for held in HELD[protocol] for component in held)


def split(words: Words, protocol: str = "ABY3") -> tuple[Words, ...]:
    """The components of `words` (int64, any shape), all but the last from the system's CSPRNG."""
    random = [
        np.frombuffer(os.urandom(words.nbytes), np.int64).reshape(words.shape)
        for _ in range(component_count(protocol) - 1)
    ]
    return (*random, reveal(words, *(-component for component in random)))


def reveal(*components: Words) -> Words:
    """The secret from all of its components."""
    first, *others = components
    for component in others:
        first = first + component
    return first
