"""ABY3 as TF Encrypted has it, with secrets as placeholders, and its carry circuit on bit planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from triveni.mpc.compile.tfe import (
    ABY3,
    BIT,
    PLANE,
    WORD,
    ABY3PrivateTensor,
    Private,
    ShareType,
    dither,
    fixed64_heuristic,
    marker,
    precision,
    v1,
)
from triveni.mpc.sharing import components_of


class TracedABY3(ABY3):  # type: ignore[misc]
    """ABY3 for the current graph."""

    def __init__(self) -> None:
        # Its 64-bit configuration, whose truncation works for any number of fractional bits.
        super().__init__(fixedpoint_config=precision("ABY3", fixed64_heuristic))
        self.dithers = False

    def secret(self, name: str, shape: Sequence[int]) -> Private:
        """A replicated secret of fixed-point words; placeholder ``secret/p/c/name`` is component c on server p."""
        shares = self._empty()
        for party, server in enumerate(self.servers):
            with tf.device(server.device_name):
                for j, component in enumerate(components_of(party, "ABY3")):
                    placeholder = v1.placeholder(tf.int64, list(shape), name=f"secret/{party}/{component}/{name}")
                    shares[party][j] = WORD.tensor(placeholder)
        return ABY3PrivateTensor(self, shares, True, ShareType.ARITHMETIC)

    def on_shares(self, x: Private, function: Callable[[tf.Tensor], tf.Tensor], factory: Any = None) -> Private:
        """A function that every server applies to its own shares: linear, without constants, or moving elements."""
        shares = self._empty()
        for party, server in enumerate(self.servers):
            with tf.device(server.device_name):
                for j in range(2):
                    value = function(x.unwrapped[party][j].value)
                    shares[party][j] = (factory or x.backing_dtype).tensor(value)
        return ABY3PrivateTensor(self, shares, x.is_scaled, x.share_type)

    def carry(self, x: Private, y: Private, pos: int | None = None) -> Private:
        """The carry out of bit `pos` of x + y, by TF Encrypted's own circuit (Kogge-Stone, halved at each level).

        Bits are kept as planes (plane k holds bit k of every element, eight elements a byte), so taking every
        second bit is taking every second plane, and no bit travels twice.
        """
        bits = 64
        shape = x.shape.as_list()
        up = bits - 1 - (bits - 1 if pos is None else pos)
        generate, propagate = (
            self.on_shares(
                self.on_shares(v, lambda t: tf.bitwise.left_shift(t, tf.constant(up, tf.int64))) if up else v,
                bit_planes,
                PLANE,
            )
            for v in (x, y)
        )
        generate, propagate = generate & propagate, generate ^ propagate
        # Shared by all slices: made for each by the index operator, they are most of the graph.
        even, odd, step = (tf.constant([number]) for number in (0, 1, 2))
        while bits > 1:
            end = tf.constant([bits])
            low, high, low_p, high_p = (
                self.on_shares(v, partial(tf.strided_slice, begin=first, end=end, strides=step))
                for v in (generate, propagate)
                for first in (even, odd)
            )
            generate, propagate = high ^ (low & high_p), low_p & high_p
            bits //= 2
        return self.on_shares(generate, lambda plane: marker("bitunslice", [plane], tf.bool, shape), BIT)

    def rounded_off(self, x: Private, fractional_bits: int) -> Private:
        """x to so many fractional bits, in units of the last."""
        dropped = self.fixedpoint_config.precision_fractional - fractional_bits
        return self.truncate(x, amount=dropped) if dropped else x

    def truncate(self, x: Private, method: str = "heuristic", amount: int | None = None) -> Private:
        """Without its low bits; if it `dithers`, rounded as no one server can know.

        All three know by which offset this rounds. Each lacks the dither of the other two.
        """
        bits = self.fixedpoint_config.precision_fractional if amount is None else amount
        return super().truncate(self._dithered(x, bits) if self.dithers else x, method, amount)

    def _dithered(self, x: Private, bits: int) -> Private:
        """x plus a dither of each two servers, which hold one component in common."""
        keys, nonces = self.pairwise_keys(), self.pairwise_nonces()
        shape = x.shape.as_list()
        shares = self._empty()
        for party, server in enumerate(self.servers):
            with tf.device(server.device_name):
                for j, component in enumerate(components_of(party, "ABY3")):
                    seed = keys[party][j] + nonces[(component + 2) % 3]
                    draw = WORD.sample_seeded_uniform(shape=shape, seed=seed).value
                    shares[party][j] = WORD.tensor(x.unwrapped[party][j].value + dither(draw, bits))
        self._update_pairwise_nonces()
        return ABY3PrivateTensor(self, shares, x.is_scaled, x.share_type)

    def rerandomised(self, y: Private) -> list[list[tf.Tensor]]:
        """The answer's shares under a fresh sharing of zero, (m0, -m0-m2, m2), so that they tell nothing but their sum.

        m0 comes from the key of servers 0 and 2, m2 from that of 1 and 2; servers 0 and 1 tell each other theirs,
        which hides nothing from anyone but the client.
        """
        keys, nonces = self.pairwise_keys(), self.pairwise_nonces()
        shape = y.shape.as_list()

        def draw(server: int, key: int, pair: int) -> tf.Tensor:
            with tf.device(self.servers[server].device_name):
                return WORD.sample_seeded_uniform(shape=shape, seed=keys[server][key] + nonces[pair]).value

        m0_on_0, m0_on_2 = draw(0, 0, 2), draw(2, 1, 2)
        m2_on_1, m2_on_2 = draw(1, 1, 1), draw(2, 0, 1)
        self._update_pairwise_nonces()
        y0, y1, y2 = ([half.value for half in pair] for pair in y.unwrapped)
        with tf.device(self.servers[0].device_name):
            on_0 = [y0[0] + m0_on_0, y0[1] - m0_on_0 - m2_on_1]
        with tf.device(self.servers[1].device_name):
            on_1 = [y1[0] - m0_on_0 - m2_on_1, y1[1] + m2_on_1]
        with tf.device(self.servers[2].device_name):
            on_2 = [y2[0] + m2_on_2, y2[1] + m0_on_2]
        return [on_0, on_1, on_2]

    @staticmethod
    def _empty() -> list[list[Any]]:
        return [[None, None] for _ in range(3)]


def bit_planes(words: tf.Tensor) -> tf.Tensor:
    """int64 (rows, ...) to int8 (64, rows, ceil(n/8)): the meaning is `triveni.mpc.ops.bitslice`."""
    rows, *rest = words.shape.as_list()
    count = 1
    for size in rest:
        count *= size
    return marker("bitslice", [words], tf.int8, [64, rows, -(-count // 8)])
