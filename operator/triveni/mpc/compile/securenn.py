"""SecureNN, repaired: products from TF Encrypted's Pond, the rest our own (docs/engine.md has the protocol in words).

Servers 0 and 1 hold a secret as two shares, server 2 deals correlated randomness. TF Encrypted's ReLU is not used: its
server 2 can compute every input of it. Its truncation is the local one, of values that are shared afresh before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from triveni.mpc.comparison import COLUMNS, DRAW_WORDS, MODULUS, UNITS
from triveni.mpc.compile.tfe import (
    BIT,
    PLANE,
    WORD,
    DrawRecorder,
    Key,
    OnlineTripleSource,
    PondMaskedTensor,
    PondPrivateTensor,
    Private,
    SecureNN,
    dither,
    fixed64_ni,
    marker,
    precision,
    v1,
)

HELPER = 2

SIGN = 2**31
"""The bit that says whether a value of less than 2^31 in magnitude is negative."""


class PairKeys:
    """The keys of each two servers; a draw is made on both, or on one, and never twice."""

    def __init__(self, devices: Sequence[str], recorder: DrawRecorder) -> None:
        self.devices = devices
        self.recorder = recorder
        self._keys: dict[tuple[int, int, bool], Key] = {}
        self._nonces: Iterator[int] = itertools.count()

    def draw(
        self, first: int, second: int, shape: Sequence[int], factory: Any = WORD, *, epoch: bool = False
    ) -> list[Any]:
        """One value, uniform over the whole range of its type, at both servers; for a run, or for all of an epoch."""
        seed = self._seed(first, second, epoch=epoch)
        return self._at(first, second, lambda: factory.sample_seeded_uniform(shape=list(shape), seed=seed))

    def bits(self, first: int, second: int, shape: Sequence[int]) -> list[Any]:
        """The same of bits."""
        seed = self._seed(first, second, epoch=False)
        return self._at(first, second, lambda: BIT.tensor(self.recorder.bits(shape, seed)))

    def _seed(self, first: int, second: int, *, epoch: bool) -> Key:
        if (first, second, epoch) not in self._keys:
            self._keys[first, second, epoch] = self.recorder.secure_seed(epoch=epoch)
        return self._keys[first, second, epoch] + next(self._nonces)

    def _at(self, first: int, second: int, sample: Callable[[], Any]) -> list[Any]:
        values = []
        for server in (first, second):
            with tf.device(self.devices[server]):
                values.append(sample())
        return values


class PairTriples(OnlineTripleSource):  # type: ignore[misc]
    """Beaver triples of which everything is drawn where it is used, but server 1's share of the product."""

    def __init__(self, producer: Any, keys: PairKeys) -> None:
        super().__init__(producer)
        self.keys = keys
        self.epoch = False
        """Whether what is masked next is a weight."""

    def mask(self, backing_dtype: Any, shape: Sequence[int]) -> tuple[Any, Any, Any]:
        """A mask at server 2, and each server's share of it."""
        a0, at_0 = self.keys.draw(HELPER, 0, shape, backing_dtype, epoch=self.epoch)
        a1, at_1 = self.keys.draw(HELPER, 1, shape, backing_dtype, epoch=self.epoch)
        with tf.device(self.producer.device_name):
            return a0 + a1, at_0, at_1

    def _share(self, secret: Any) -> tuple[Any, Any]:
        at_helper, at_0 = self.keys.draw(HELPER, 0, secret.shape.as_list(), secret.factory)
        return at_0, secret - at_helper


Function = Callable[[tf.Tensor], tf.Tensor]


class TracedSecureNN(SecureNN):  # type: ignore[misc]
    """SecureNN for the current graph."""

    def __init__(self, recorder: DrawRecorder) -> None:
        super().__init__(fixedpoint_config=precision("SecureNN", fixed64_ni))
        self.devices = [server.device_name for server in (self.server_0, self.server_1, self.server_2)]
        self.keys = PairKeys(self.devices, recorder)
        self.triple_source = PairTriples(self.server_2, self.keys)
        self.dithers = False
        self._weights: set[Private] = set()
        self._moved: dict[Private, tuple[Private, Function]] = {}
        self._masked: dict[Private, Any] = {}

    def secret(self, name: str, shape: Sequence[int]) -> Private:
        """An additive secret of fixed-point words; placeholder ``secret/p/c/name`` is component c on server p."""
        shares = []
        for party in (0, 1):
            with tf.device(self.devices[party]):
                shares.append(v1.placeholder(tf.int64, list(shape), name=f"secret/{party}/{party}/{name}"))
        secret = self._private(shares)
        if name != "x":
            self._weights.add(secret)
        return secret

    def on_shares(self, x: Private, function: Function) -> Private:
        """A function that every server applies to its own share: linear, without constants, or moving elements."""
        moved = self._private(self._at_servers(lambda party: function(x.unwrapped[party].value)))
        self._moved[moved] = x, function
        return moved

    def mask(self, x: Private) -> Any:
        """x minus a mask, known to servers 0 and 1, and the mask's shares: what a product needs of a factor.

        A mask moves with what it masks. So of the values that x was moved from the smallest is masked, once for all
        products; of a weight always the weight itself, once for an epoch.
        """
        if x in self._masked:
            return self._masked[x]
        origin, functions = self._cheapest(x)
        if origin is x:
            self.triple_source.epoch = origin in self._weights
            masked = super().mask(origin)
        else:
            masked = self.mask(origin)
            for function in functions:
                masked = self._move(masked, function)
        self._masked[x] = masked
        return masked

    def truncate(self, x: Private) -> Private:
        """A product as a number of the fixed point."""
        return self._truncated(x, self.fixedpoint_config.precision_fractional)

    def _truncated(self, x: Private, bits: int) -> Private:
        """x shifted right on each share. How that rounds is decided by the shares, so they are made afresh before.

        Servers 0 and 1 know it all the same, unless it `dithers`: each lacks what server 2 drew with the other then.
        """
        if self.dithers:
            draws = [self.keys.draw(HELPER, party, x.shape.as_list())[1].value for party in (0, 1)]
            x = self._private(self._at_servers(lambda party: x.unwrapped[party].value + dither(draws[party], bits)))
        x0, x1 = self._shared_afresh(x).unwrapped
        with tf.device(self.devices[0]):
            y0 = x0.truncate(bits)
        with tf.device(self.devices[1]):
            y1 = 0 - (0 - x1).truncate(bits)
        return PondPrivateTensor(self, y0, y1, x.is_scaled)

    def relu(self, x: Private) -> Private:
        """max(x, 0), exact for words of less than 2^31 in magnitude: 0 where bit 31 is set. Three rounds.

        Servers 0 and 1 open c = x + r, for r of server 2's. Bit 31 of x is that of c, xor that of r, xor whether the
        low 31 bits of r are more than those of c; server 2 finds that out, xor a coin beta of the other two. It
        answers with shares of T, its part of the bit, and of T r, from which follow shares of T x = T c - T r.
        """
        shape = x.shape.as_list()
        draw = self.keys.draw
        (r0, r_of_0), (r1, r_of_1) = (draw(HELPER, party, shape) for party in (0, 1))
        share, share_of_0 = draw(HELPER, 0, [*shape, DRAW_WORDS])
        beta, rotation = self.keys.bits(0, 1, shape), draw(0, 1, shape, PLANE)
        factor, shift = (draw(0, 1, [*shape, DRAW_WORDS]) for _ in range(2))
        t0, t_of_0 = draw(HELPER, 0, shape)
        q0, q_of_0 = draw(HELPER, 0, shape)
        row = [*shape, COLUMNS]

        with tf.device(self.devices[HELPER]):
            r = r0.value + r1.value
            dealt = marker("deal_bits", [r, _residues(share, MODULUS)], tf.int8, row)
        with tf.device(self.devices[0]):
            own = _residues(share_of_0, MODULUS)
        r_of, bits_of = (r_of_0.value, r_of_1.value), (own, dealt)

        sent = self._at_servers(lambda party: x.unwrapped[party].value + r_of[party])
        opened = self._at_servers(lambda party: sent[0] + sent[1])

        def hidden(party: int) -> tf.Tensor:
            inputs = [opened[party], bits_of[party], beta[party].value]
            columns = marker("compare", inputs, tf.int8, row, role=party)
            inputs = [columns, _residues(factor[party], UNITS), _residues(shift[party], MODULUS)]
            blind = marker("blind", inputs, tf.int8, row, role=party)
            return marker("rotate", [blind, rotation[party].value], tf.int8, row)

        pair = self._at_servers(hidden)
        with tf.device(self.devices[HELPER]):
            found = marker("has_zero", pair, tf.bool, shape)
            t = marker("xor", [found, _sign(r)], tf.bool, shape)
            t1 = tf.cast(t, tf.int64) - t0.value
            q1 = tf.where(t, r, tf.constant(0, tf.int64)) - q0.value
        t_of, q_of = (t_of_0.value, t1), (q_of_0.value, q1)

        def rectified(party: int) -> tf.Tensor:
            negative = marker("xor", [beta[party].value, _sign(opened[party])], tf.bool, shape)
            product = t_of[party] * opened[party] - q_of[party]
            return tf.where(negative, product, x.unwrapped[party].value - product)

        return self._shared_afresh(self._private(self._at_servers(rectified)))

    def rounded_off(self, x: Private, fractional_bits: int) -> Private:
        """x to so many fractional bits, in units of the last."""
        dropped = self.fixedpoint_config.precision_fractional - fractional_bits
        return self._truncated(x, dropped) if dropped else x

    def rerandomised(self, y: Private) -> list[list[tf.Tensor]]:
        """The answer's shares under a fresh sharing of zero, so that they tell nothing but their sum."""
        return [*([share.value] for share in self._shared_afresh(y).unwrapped), []]

    def _shared_afresh(self, x: Private) -> Private:
        rho = self.keys.draw(0, 1, x.shape.as_list())
        x0, x1 = x.unwrapped
        with tf.device(self.devices[0]):
            y0 = x0 + rho[0]
        with tf.device(self.devices[1]):
            y1 = x1 - rho[1]
        return PondPrivateTensor(self, y0, y1, x.is_scaled)

    def _private(self, shares: Sequence[tf.Tensor]) -> Private:
        return PondPrivateTensor(self, *(WORD.tensor(share) for share in shares), True)

    def _at_servers(self, function: Callable[[int], tf.Tensor]) -> list[tf.Tensor]:
        """A value of server 0 and one of server 1."""
        values = []
        for party in (0, 1):
            with tf.device(self.devices[party]):
                values.append(function(party))
        return values

    def _cheapest(self, x: Private) -> tuple[Private, list[Function]]:
        """The smallest value that x was moved from, or x, and how x comes from it."""
        best = x
        functions: list[Function] = []
        walked: list[Function] = []
        while x in self._moved:
            x, function = self._moved[x]
            walked.insert(0, function)
            if x.shape.num_elements() <= best.shape.num_elements() or x in self._weights:
                best, functions = x, list(walked)
        return best, functions

    def _move(self, masked: Any, function: Function) -> Any:
        """A masked value with everything about it moved in the same way."""
        moved = []
        for party, value in zip((HELPER, 0, 1, 0, 1), masked.unwrapped, strict=True):
            with tf.device(self.devices[party]):
                moved.append(WORD.tensor(function(value.value)))
        private = self._private(self._at_servers(lambda party: function(masked.unmasked.unwrapped[party].value)))
        return PondMaskedTensor(self, private, *moved, True)


def _residues(draw: Any, modulus: int) -> tf.Tensor:
    shape = draw.value.shape.as_list()[:-1]
    return marker("residues", [draw.value], tf.int8, [*shape, COLUMNS], modulus=modulus)


def _sign(words: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.bitwise.bitwise_and(words, tf.constant(SIGN, tf.int64)), tf.bool)
