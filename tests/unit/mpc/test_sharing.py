"""Replicated and additive sharing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.mpc.sharing import HELD, component_count, components_of, reveal, split

words = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20).map(lambda w: np.array(w, np.int64))


protocols = pytest.mark.parametrize("protocol", HELD)


@protocols
@given(secret=words)
def test_the_components_reveal_the_secret(protocol: str, secret: np.ndarray) -> None:
    components = split(secret, protocol)
    assert len(components) == component_count(protocol)
    assert (reveal(*components) == secret).all()


@protocols
def test_two_splits_of_one_secret_share_no_component(protocol: str) -> None:
    secret = np.zeros(100, np.int64)
    first, second = split(secret, protocol), split(secret, protocol)
    assert not np.isin(np.concatenate(first), np.concatenate(second)).any()


@protocols
def test_every_component_but_the_last_is_from_the_systems_generator(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bytes] = []
    monkeypatch.setattr("os.urandom", lambda size: drawn.append(bytes([len(drawn) + 1]) * size) or drawn[-1])
    components = split(np.zeros((2, 5), np.int64), protocol)
    assert [component.tobytes() for component in components[:-1]] == drawn


@pytest.mark.parametrize(("protocol", "component"), [(p, c) for p in HELD for c in range(component_count(p))])
def test_every_component_of_a_constant_secret_looks_uniform(protocol: str, component: int) -> None:
    """Mean number of ones in each of the 64 bit positions over 4096 words: within six standard deviations."""
    bits = np.unpackbits(split(np.full(4096, 7, np.int64), protocol)[component].view(np.uint8)).reshape(4096, 64)
    assert (np.abs(bits.mean(0) - 0.5) < 6 * 0.5 / 64).all()


def test_in_securenn_two_parties_hold_a_component_each_and_the_third_none() -> None:
    assert [components_of(party, "SecureNN") for party in range(3)] == [(0,), (1,), ()]


def test_any_two_parties_hold_all_components_and_one_lacks_exactly_one() -> None:
    held = [set(components_of(party, "ABY3")) for party in range(3)]
    assert all(len(h) == 2 for h in held)
    assert held[0] | held[1] == held[1] | held[2] == held[2] | held[0] == {0, 1, 2}
