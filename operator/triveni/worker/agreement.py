"""Key agreement at the start of an epoch: each pair of workers makes a secret that the third never sees.

Every worker sends each peer 32 random bytes and the digest of its own program, over the link that only the two share,
and then reads the same from each. Keys are bound to program, epoch and pair, and are made only if programs are equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from triveni.mpc.randomness import (
    CONTRIBUTION_BYTES,
    EpochContext,
    Holders,
    Secret,
    new_contribution,
    pair_secret,
    private_secret,
)
from triveni.worker.links import DataLinks, LinkLost

DIGEST_BYTES = 32


@dataclass(eq=False)
class ProgramsDiffer(Exception):
    """A peer compiled another program for the same architecture."""

    peer: int
    mine: str
    theirs: str

    def __str__(self) -> str:
        return (
            f"worker {self.peer} has program {self.theirs[:12]}, this one {self.mine[:12]}; "
            "give all three workers the same version of triveni and the same architecture"
        )


class Stopped(Exception):
    """The worker ends before it has agreed on keys."""


def agree(
    links: DataLinks, party: int, context: EpochContext, timeout_s: float, stopped: Callable[[], bool]
) -> dict[Holders, Secret]:
    """The secrets of this party: one with each peer, and one of its own. Blocks until the peers are as far.

    Raises:
        ProgramsDiffer: a peer has another program.
        PeerLost: a peer's link ends, or it is not as far within `timeout_s`.
        Stopped: `stopped()` was true after a `wake`.
    """
    digest = bytes.fromhex(context.program_digest)
    mine = {peer: new_contribution() for peer in links.peers}
    for peer, contribution in mine.items():
        links.send(peer, memoryview(contribution + digest))
    links.flush()
    deadline = time.monotonic() + timeout_s
    secrets: dict[Holders, Secret] = {(party,): private_secret()}
    for peer, contribution in mine.items():
        while not links.idle(peer, deadline - time.monotonic()):
            if stopped():
                raise Stopped
            if time.monotonic() >= deadline:
                raise LinkLost(peer, f"it has agreed on no keys within {timeout_s:g} s (timeout)")
        answer = bytes(links.receive(peer, CONTRIBUTION_BYTES + DIGEST_BYTES))
        theirs, their_digest = answer[:CONTRIBUTION_BYTES], answer[CONTRIBUTION_BYTES:]
        if their_digest != digest:
            raise ProgramsDiffer(peer, context.program_digest, their_digest.hex())
        secrets[min(party, peer), max(party, peer)] = pair_secret(contribution, theirs, party, peer, context)
    return secrets
