"""Pad elimination: which of one party's messages are uniform whatever the secrets are.

Messages are removed one after another; each removal is one of the rules that docs/prover.md proves (lemmas 2, 3 and
7). What is left is harmless if none of it depends on a secret that the party does not hold (lemma 4). The rules are
sound and not complete: an open message is not shown to leak, it is not shown to be safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from triveni.mpc.affine import Affine
from triveni.mpc.comparison import MODULUS, UNITS
from triveni.mpc.program import Node
from triveni.mpc.prove.atoms import Occurrences, row_shape
from triveni.mpc.prove.proof import OpenMessage, PartyProof, Rule, Uniform
from triveni.mpc.sharing import component_count, components_of


@dataclass(frozen=True)
class Premises:
    """What is known of a program, or of several runs of one, whichever party it is looked at for.

    Attributes:
        protocol: says which components a party holds.
        found: atoms and secrets in every node.
        numbers: the places of all nodes.
        values: nodes of one number have one value (`values`).
        setup: the messages that are sent once for an epoch.
    """

    protocol: str
    found: Occurrences
    numbers: Mapping[Node, int]
    values: Mapping[Node, int]
    setup: Set[Node]


def prove_party(party: int, messages: Sequence[Node], premises: Premises) -> PartyProof:
    """The proof for the values `messages` that `party` receives."""
    return _Elimination(party, messages, premises).run()


class _Elimination:
    def __init__(self, party: int, messages: Sequence[Node], premises: Premises) -> None:
        found = premises.found
        self.party = party
        self.received = tuple(messages)
        self.found = found
        self.numbers = premises.numbers
        self.values = premises.values
        self.setup = premises.setup
        not_known = ((1 << len(found.atoms)) - 1) & ~found.known_to(party)
        # What is sent once for an epoch is masked by atoms of the epoch, what is sent in a run by atoms of that run.
        self.unknown = not_known & ~found.of_epoch
        self.unknown_of_epoch = not_known & found.of_epoch
        everything = range(component_count(premises.protocol))
        held = components_of(party, premises.protocol)
        self.secret = sum(1 << component for component in everything if component not in held)
        self.remaining = list(messages)
        self.uniform: list[Uniform] = []

    def run(self) -> PartyProof:
        while self._remove_padded() or self._remove_transfer() or self._remove_comparison():
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
        """The atoms that occur in exactly one remaining message."""
        once = more = 0
        for node in self.remaining:
            cone = self.found.cone[node]
            more |= once & cone
            once |= cone
        return once & ~more

    def _remove_padded(self) -> bool:
        """Rule 1: remove every message that is a bijection of an atom that occurs in no other remaining one.

        Those found together may be removed together: a removal takes atoms out of the others' way, never in.
        """
        alone = self._alone()
        kept = []
        for node in self.remaining:
            if pads := self._pads(node) & alone:
                self.uniform.append(Uniform(node, self.found.lowest(pads), Rule.ONE_TIME_PAD))
            else:
                kept.append(node)
        removed = len(kept) < len(self.remaining)
        self.remaining = kept
        return removed

    def _pads(self, node: Node) -> int:
        """The atoms that make a message uniform and that the party cannot make."""
        if node in self.setup:
            return self.found.pads[node] & self.unknown_of_epoch
        return (self.found.pads[node] | self.found.residue_pads[node]) & self.unknown

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

    def _remove_comparison(self) -> bool:
        """Rule 3: remove the two messages of one comparison, of the last that there is if it can be."""
        sent = [node for node in reversed(self.remaining) if node.op == "rotate"]
        for first in sent:
            for second in sent:
                if masks := self._comparison(first, second):
                    pad = self.found.lowest(masks)
                    self.uniform += (Uniform(node, pad, Rule.COMPARISON) for node in (first, second))
                    self.remaining = [node for node in self.remaining if node not in (first, second)]
                    return True
        return False

    def _comparison(self, first: Node, second: Node) -> int:
        """The masks of the two shares of one comparison, if every condition of lemma 7 holds; 0 if not.

        Each is rotate(blind(compare(c, share, beta), factor, shift), by), the first with role 0 and the second with
        role 1. c is one value in both, and the shares add up to bits: rows drawn mod 37, and what `deal_bits` makes of
        the same rows. factor (mod 36), shift (mod 37), by and beta are the same four atoms in both, whole, which the
        party cannot make, and which occur nowhere else among what remains, nor in c or the shares.
        """
        one, two = _Hidden.of(first, 0), _Hidden.of(second, 1)
        if one is None or two is None or first.shape != second.shape:
            return 0
        masks = self._masks_of(one)
        if not masks or masks != self._masks_of(two):
            return 0
        together = masks[0] | masks[1] | masks[2] | masks[3]
        if together & ~self.unknown or together.bit_count() != len(masks):
            return 0
        dealt, drawn = two.share, self.found.row_atom(one.share, MODULUS)
        if dealt.op != "deal_bits" or not drawn or drawn != self.found.row_atom(dealt.inputs[1], MODULUS):
            return 0
        if self.values[one.opened] != self.values[two.opened]:
            return 0
        elsewhere = 0
        for node in (one.opened, two.opened, one.share, two.share):
            elsewhere |= self.found.cone[node]
        for node in self.remaining:
            if node not in (first, second):
                elsewhere |= self.found.cone[node]
        return 0 if together & elsewhere else together

    def _masks_of(self, hidden: _Hidden) -> tuple[int, int, int, int] | None:
        """Factor, shift, rotation and coin as sets of one atom each; None if one of them is no atom."""
        masks = (
            self.found.row_atom(hidden.factor, UNITS),
            self.found.row_atom(hidden.shift, MODULUS),
            self.found.bit(hidden.rotation),
            self.found.bit(hidden.beta),
        )
        return masks if all(masks) else None

    def _others_with(self, atoms: int, chosen: Node) -> list[Node]:
        return [n for n in self.remaining if n is not chosen and self.found.cone[n] & atoms]

    def _why(self, node: Node) -> str:
        """Why no rule removes `node`, which depends on a secret that the party does not hold."""
        pads = self._pads(node)
        if not pads:
            return f"no draw that party {self.party} cannot make masks it, used once and over its full range"
        others = [str(self.numbers[n]) for n in self.remaining if n is not node and self.found.cone[n] & pads]
        masks = ", ".join(map(str, self.found.members(pads)))
        return f"its mask ({masks}) occurs in other messages to party {self.party} too: node {', '.join(others)}"


@dataclass(frozen=True, eq=False)
class _Hidden:
    """One server's columns of a comparison as they are sent, and what they are made of."""

    opened: Node
    share: Node
    beta: Node
    factor: Node
    shift: Node
    rotation: Node

    @classmethod
    def of(cls, node: Node, role: int) -> _Hidden | None:
        """The parts of rotate(blind(compare(c, share, beta), factor, shift), by), all of one number of rows."""
        if node.op != "rotate" or node.inputs[0].op != "blind":
            return None
        blind, rotation = node.inputs
        columns, factor, shift = blind.inputs
        if columns.op != "compare" or (columns.attrs["role"], blind.attrs["role"]) != (role, role):
            return None
        opened, share, beta = columns.inputs
        rows = row_shape(node)
        if rows is None or any(row_shape(value) != rows for value in (blind, columns, factor, shift, share)):
            return None
        single = [(value.dtype, value.shape) for value in (opened, beta, rotation)]
        if single != [("i8", rows), ("b1", rows), ("u1", rows)]:
            return None
        return cls(opened, share, beta, factor, shift, rotation)
