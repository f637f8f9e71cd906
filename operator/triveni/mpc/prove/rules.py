"""Pad elimination: which of one party's messages are uniform whatever the secrets are.

Messages are removed one after another; each removal is one of the two rules that docs/prover.md proves (lemmas 2 and
3). What is left is harmless if none of it depends on a secret that the party does not hold (lemma 4). The rules are
sound and not complete: an open message is not shown to leak, it is not shown to be safe.
"""

from __future__ import annotations

from collections.abc import Sequence

from triveni.mpc.affine import Affine
from triveni.mpc.program import Node
from triveni.mpc.prove.atoms import Occurrences
from triveni.mpc.prove.proof import OpenMessage, PartyProof, Rule, Uniform


def prove_party(party: int, messages: Sequence[Node], found: Occurrences, numbers: dict[Node, int]) -> PartyProof:
    """The proof for the values `messages` that `party` receives; `numbers` are the places of all nodes."""
    return _Elimination(party, messages, found, numbers).run()


class _Elimination:
    def __init__(self, party: int, messages: Sequence[Node], found: Occurrences, numbers: dict[Node, int]) -> None:
        self.party = party
        self.received = tuple(messages)
        self.found = found
        self.numbers = numbers
        self.unknown = ((1 << len(found.atoms)) - 1) & ~found.known_to(party)
        self.secret = 1 << (party + 2) % 3
        self.remaining = list(messages)
        self.uniform: list[Uniform] = []

    def run(self) -> PartyProof:
        while self._remove_padded() or self._remove_transfer():
            pass
        left = [(node, bool(self.found.secrets[node] & self.secret)) for node in self.remaining]
        return PartyProof(
            party=self.party,
            words=sum((node.size for node in self.received), Affine(0)),
            uniform=tuple(self.uniform),
            without_secret=tuple(node for node, secret in left if not secret),
            open=tuple(OpenMessage(node, self.numbers[node], self._why(node)) for node, secret in left if secret),
        )

    def _alone(self) -> int:
        """The atoms that the party cannot make and that occur in exactly one remaining message."""
        once = more = 0
        for node in self.remaining:
            cone = self.found.cone[node]
            more |= once & cone
            once |= cone
        return once & ~more & self.unknown

    def _remove_padded(self) -> bool:
        """Rule 1: remove every message that is a bijection of an atom that occurs in no other remaining one.

        Those found together may be removed together: a removal takes atoms out of the others' way, never in.
        """
        alone = self._alone()
        kept = []
        for node in self.remaining:
            if pads := self.found.pads[node] & alone:
                self.uniform.append(Uniform(node, self.found.lowest(pads), Rule.ONE_TIME_PAD))
            else:
                kept.append(node)
        removed = len(kept) < len(self.remaining)
        self.remaining = kept
        return removed

    def _remove_transfer(self) -> bool:
        """Rule 2: remove the three messages of one oblivious transfer."""
        for node in self.remaining:
            if node.op == "select" and (transfer := self._transfer(node)):
                gone = {uniform.message for uniform in transfer}
                self.uniform.extend(transfer)
                self.remaining = [other for other in self.remaining if other not in gone]
                return True
        return False

    def _transfer(self, chosen: Node) -> tuple[Uniform, ...] | None:
        """The transfer whose chosen pad is `chosen` = select(c, w1, w0), if every condition of lemma 3 holds.

        w0, w1 and d are atoms that the party cannot make and that c does not depend on; w0 and w1 have the shape and
        type of `chosen`. Besides `chosen`, w0 occurs in one remaining message only, M0, and w1 in another, M1 (so that
        w0 and w1 differ, and d from both); d occurs in M0 and M1 only. M0 is a bijection of w0 and of d in place, and
        M1 of w1 and of d.
        """
        choice, one, zero = chosen.inputs
        w0, w1 = self.found.bit(zero), self.found.bit(one)
        if not w0 & self.unknown or not w1 & self.unknown:
            return None
        if any(pad.shape != chosen.shape or pad.dtype != chosen.dtype for pad in (zero, one)):
            return None
        with_w0, with_w1 = self._others_with(w0, chosen), self._others_with(w1, chosen)
        if len(with_w0) != 1 or len(with_w1) != 1 or with_w0 == with_w1:
            return None
        (m0,), (m1,) = with_w0, with_w1
        in_place = self.found.pads_in_place
        if not in_place[m0] & w0 or not in_place[m1] & w1 or self.found.cone[choice] & (w0 | w1):
            return None
        elsewhere = self.found.cone[choice]
        for node in self.remaining:
            if node not in (chosen, m0, m1):
                elsewhere |= self.found.cone[node]
        shared = in_place[m0] & in_place[m1] & self.unknown & ~elsewhere
        if not shared:
            return None
        pads = {chosen: w0, m0: shared, m1: w1}
        return tuple(Uniform(n, self.found.lowest(p), Rule.OBLIVIOUS_TRANSFER) for n, p in pads.items())

    def _others_with(self, atoms: int, chosen: Node) -> list[Node]:
        return [n for n in self.remaining if n is not chosen and self.found.cone[n] & atoms]

    def _why(self, node: Node) -> str:
        """Why no rule removes `node`, which depends on a secret that the party does not hold."""
        pads = self.found.pads[node] & self.unknown
        if not pads:
            return f"no draw that party {self.party} cannot make masks it, used once and over its full range"
        others = [str(self.numbers[n]) for n in self.remaining if n is not node and self.found.cone[n] & pads]
        masks = ", ".join(map(str, self.found.members(pads)))
        return f"its mask ({masks}) occurs in other messages to party {self.party} too: node {', '.join(others)}"
