"""Secret keys, and the keystreams that every random draw of a program comes from.

Two parties that share a key make the same draws without a message; a party makes draws that only it knows from a key of
its own. For each set of holders there is one AES-256-CTR keystream for each run: the key belongs to the epoch, the
program and the holders, the high half of the counter block is the number of the run. Run numbers only rise, so no mask
is ever made twice. A draw is a slice of its keystream at an offset that the program alone decides (`draw_layout`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from triveni.mpc.affine import Affine
from triveni.mpc.program import Program

SECRET_BYTES = 32

CONTRIBUTION_BYTES = 32

ALIGNMENT = 64
"""Every draw starts on a cache line, for every number of rows."""

EPOCH_RUN = 0
"""The number under which the draws of an epoch are made."""

MAX_RUN = 2**64 - 1

PAIR_SECRET = "triveni.dev/pair-secret/v1"  # noqa: S105 (names of derivations, not passwords)
KEYSTREAM = "triveni.dev/keystream/v1"

Holders = tuple[int, ...]

ZEROS = memoryview(bytes(1 << 18))
"""What is encrypted to get the bare keystream, a piece at a time: small enough to stay in the cache."""


@dataclass(eq=False)
class RunNumberReused(Exception):
    """A run was asked for whose number is not above all before it: its masks might be made a second time."""

    run: int
    last: int

    def __str__(self) -> str:
        return f"run {self.run} cannot follow run {self.last}: run numbers only rise, from 1 to {MAX_RUN}"


@dataclass(eq=False)
class EpochDrawn(Exception):
    """What is drawn once for an epoch was asked for a second time: it could mask other weights."""

    holders: Holders

    def __str__(self) -> str:
        return f"the epoch's draws of {self.holders} have been made; other weights need another epoch"


@dataclass(eq=False)
class MissingKey(Exception):
    """A draw needs a key that this party does not have."""

    holders: Holders

    def __str__(self) -> str:
        return f"there is no key of the holders {self.holders}"


@dataclass(eq=False)
class ShortKeystream(Exception):
    """The cipher gave fewer bytes than asked for."""

    wanted: int
    got: int

    def __str__(self) -> str:
        return f"the cipher gave {self.got} bytes of keystream instead of {self.wanted}"


@dataclass(eq=False)
class InvalidContribution(ValueError):
    """What a party sent towards a common secret is not 32 bytes, or is the other's own."""

    problem: str

    def __str__(self) -> str:
        return f"a contribution to a pair's secret {self.problem}"


class Erased(Exception):
    """Keys were asked for after they had been erased."""

    def __str__(self) -> str:
        return "the keys have been erased"


@dataclass(frozen=True, slots=True)
class EpochContext:
    """What a key is good for: one program in one epoch of one SecureModel."""

    namespace: str
    uid: str
    epoch: int
    program_digest: str


class Secret:
    """Key material that shows in no log and can be overwritten."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data)

    def derive(self, label: str, holders: Holders, context: EpochContext) -> bytes:
        """32 bytes bound to all that is given (HKDF-SHA256, RFC 5869); Erased after `erase`."""
        if not self._data:
            raise Erased
        return _hkdf(bytes(self._data), label, holders, context)

    def erase(self) -> int:
        """Overwrite the key; how many bytes that were."""
        erased = len(self._data)
        self._data[:] = bytes(erased)
        self._data.clear()
        return erased

    def __repr__(self) -> str:
        return "<Secret>"


def _hkdf(material: bytes, label: str, holders: Holders, context: EpochContext) -> bytes:
    info = json.dumps([label, list(holders), asdict(context)], separators=(",", ":"), sort_keys=True).encode()
    return HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=label.encode(), info=info).derive(material)


def new_contribution() -> bytes:
    """32 random bytes: what one party gives towards a secret of two."""
    return os.urandom(CONTRIBUTION_BYTES)


def pair_secret(mine: bytes, theirs: bytes, party: int, peer: int, context: EpochContext) -> Secret:
    """The secret of two parties, the same for both, from what each contributed over their mutually verified link.

    Raises:
        InvalidContribution: a contribution has not 32 bytes, or both are the same (a reflected message).
    """
    if {len(mine), len(theirs)} != {CONTRIBUTION_BYTES}:
        raise InvalidContribution(f"has to have {CONTRIBUTION_BYTES} bytes")
    if mine == theirs:
        raise InvalidContribution("came back as the answer to itself")
    holders = (min(party, peer), max(party, peer))
    material = mine + theirs if party < peer else theirs + mine
    return Secret(_hkdf(material, PAIR_SECRET, holders, context))


def private_secret() -> Secret:
    """The secret of one party alone."""
    return Secret(os.urandom(SECRET_BYTES))


class Keystreams:
    """All keystreams of one party in one epoch. They make each run's bytes once, runs in rising order only."""

    def __init__(self, secrets: Mapping[Holders, Secret], context: EpochContext) -> None:
        self._secrets = dict(secrets)
        self._keys = {
            holders: bytearray(secret.derive(KEYSTREAM, holders, context)) for holders, secret in secrets.items()
        }
        self._last = dict.fromkeys(self._keys, EPOCH_RUN)
        self._epoch_drawn: set[Holders] = set()

    @property
    def holders(self) -> frozenset[Holders]:
        """The sets of holders that there is a keystream for."""
        return frozenset(self._keys)

    def fill(self, holders: Holders, run: int, buffer: memoryview) -> None:
        """Overwrite all of `buffer` (contiguous, writable bytes) with the keystream of this run, from its beginning.

        Raises:
            MissingKey, Erased: there is no such key (any more).
            RunNumberReused: not above the last run of these holders, or beyond 2^64 - 1.
            ShortKeystream: the cipher failed; nothing may be computed with the buffer.
        """
        key = self._key(holders)
        if not self._last[holders] < run <= MAX_RUN:
            raise RunNumberReused(run, self._last[holders])
        self._last[holders] = run
        _keystream(key, run, buffer)

    def fill_epoch(self, holders: Holders, buffer: memoryview) -> None:
        """Overwrite all of `buffer` with what these holders draw once for the epoch; EpochDrawn the second time.

        The other errors are those of `fill`.
        """
        key = self._key(holders)
        if holders in self._epoch_drawn:
            raise EpochDrawn(holders)
        self._epoch_drawn.add(holders)
        _keystream(key, EPOCH_RUN, buffer)

    def _key(self, holders: Holders) -> bytearray:
        if not self._keys:
            raise Erased
        key = self._keys.get(holders)
        if key is None:
            raise MissingKey(holders)
        return key

    def erase(self) -> int:
        """Overwrite the keys and the secrets they came from; how many bytes that were."""
        erased = sum(secret.erase() for secret in self._secrets.values())
        for key in self._keys.values():
            erased += len(key)
            key[:] = bytes(len(key))
        self._keys.clear()
        self._secrets.clear()
        return erased

    def __repr__(self) -> str:
        return f"<Keystreams of {sorted(self._keys)}>"


def _keystream(key: bytearray, run: int, buffer: memoryview) -> None:
    # The block counter is the low half: a buffer of less than 2^63 bytes can never reach into the next run.
    counter = run.to_bytes(8, "big") + bytes(8)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    made = 0
    for start in range(0, len(buffer), len(ZEROS)):
        piece = buffer[start : start + len(ZEROS)]
        made += encryptor.update_into(ZEROS[: len(piece)], piece)
    if made != len(buffer):
        raise ShortKeystream(len(buffer), made)


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """Where the draws of one set of holders lie in their keystream, in bytes; all holders agree on it."""

    size: Affine
    offsets: Mapping[int, Affine]


def draw_layout(program: Program, *, epoch: bool = False) -> dict[Holders, StreamLayout]:
    """The layout of every keystream of a run, or of the epoch: draws by rising index, whoever of the holders uses them.

    ValueError if two parties would read the same draw in different sizes.
    """
    sizes: dict[Holders, dict[int, Affine]] = {}
    for node in program.nodes:
        if node.draw is None or node.draw.epoch != epoch:
            continue
        known = sizes.setdefault(node.draw.holders, {}).setdefault(node.draw.index, node.nbytes)
        if known != node.nbytes:
            raise ValueError(f"{node.draw} has {known} bytes for one party and {node.nbytes} for another")
    layouts = {}
    for holders, draws in sorted(sizes.items()):
        size, offsets = Affine(0), {}
        for index, nbytes in sorted(draws.items()):
            offsets[index] = size
            size += nbytes.aligned(ALIGNMENT)
        layouts[holders] = StreamLayout(size, offsets)
    return layouts
