"""Which message is hidden by which mask, and what the receiver sees of it if that one mask is off.

Three machines in this process run the example with keystreams that are laid out draw by draw. What worker `party` knows
itself stays the same in every run, and so do all masks that come before the one in question: all that it can have seen
so far. The mask in question is made anew, or is zero, which is the mutation; whatever comes after it is made anew. The
messages to look at are those of words that depend on this new mask and on no other: given everything before, it alone
can hide them. (Programs list nodes so that each comes after those that it is made from, which orders the draws.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tests.integration.secrecy.transcript import words_of
from tests.unit.mpc.execute.machine_network import CONTEXT, Three
from triveni.mpc.execute.tape import frame_order
from triveni.mpc.program import PARTIES, Node, Program
from triveni.mpc.randomness import Holders, Keystreams, Secret, draw_layout
from triveni.mpc.schedule import PartySchedule, Phase, Schedule
from triveni.mpc.sharing import split

Words = NDArray[np.int64]

Seen = Mapping[Node, bytes]
"""What a worker received for each value."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A draw, by its place among all draws of a run, and the messages to `party` that it hides, as far as is known.

    `after` is the place before which all is frozen.
    """

    party: int
    place: int
    hides: tuple[Node, ...]
    after: int


class Spoiled(Keystreams):
    """Keystreams in which some draws are frozen and one may be zero; see the module."""

    def __init__(self, secrets: Mapping[Holders, Secret], draws: Draws) -> None:
        super().__init__(secrets, CONTEXT)
        self._draws = draws

    def fill(self, holders: Holders, run: int, buffer: memoryview) -> None:
        super().fill(holders, run, buffer)
        self._draws.spoil(holders, buffer)


class Draws:
    """All draws of a run in order, and how they are spoiled: for which mask, and whether it is off."""

    def __init__(self, program: Program) -> None:
        order: dict[tuple[Holders, int], int] = {}
        for node in program.nodes:
            if node.draw is not None and not node.draw.epoch:
                order.setdefault((node.draw.holders, node.draw.index), len(order))
        self.order = order
        self.mask: Mask | None = None
        self.off = False
        self._spans: dict[Holders, list[tuple[int, slice]]] = {}
        for holders, layout in draw_layout(program).items():
            ends = [*(offset.at(1) for offset in layout.offsets.values()), layout.size.at(1)][1:]
            starts = [(index, offset.at(1)) for index, offset in layout.offsets.items()]
            self._spans[holders] = [
                (order[holders, index], slice(start, end)) for (index, start), end in zip(starts, ends, strict=True)
            ]
        generator = np.random.default_rng(6)
        self._frozen = {h: generator.bytes(layout.size.at(1)) for h, layout in draw_layout(program).items()}

    def spoil(self, holders: Holders, buffer: memoryview) -> None:
        if self.mask is None:
            return
        for place, span in self._spans[holders]:
            if self.mask.party in holders or place < self.mask.after:
                buffer[span] = self._frozen[holders][span]
            elif place == self.mask.place and self.off:
                buffer[span] = bytes(span.stop - span.start)


def last_masks(program: Program, draws: Draws, party: int) -> list[Mask]:
    """The masks that are the last to be read by some message of words to a worker, in their order."""
    mine: dict[Node, int] = {}
    for node in program.nodes:
        cone = 0
        if node.draw is not None and not node.draw.epoch and party not in node.draw.holders:
            cone = 1 << draws.order[node.draw.holders, node.draw.index]
        for source in node.inputs:
            cone |= mine[source]
        mine[node] = cone
    found: dict[int, list[Node]] = {}
    for message in Schedule(program).messages:
        last = mine[message.node].bit_length() - 1
        if message.receiver == party and message.node.dtype == "i8" and last >= 0:
            found.setdefault(last, []).append(message.node)
    return [Mask(party, place, tuple(nodes), place) for place, nodes in sorted(found.items())]


class Bench:
    """Three machines that run requests of one row under a mask in question."""

    def __init__(self, program: Program, weights: Mapping[str, Words]) -> None:
        self.draws = Draws(program)
        self._three = Three(program, weights, True)
        for party, machine in enumerate(self._three.machines):
            machine._keystreams = Spoiled(self._three.secrets[party], self.draws)
        self._three.load()
        self._program = program
        self._runs = 0
        self._frames = {party: list(_frames(Schedule(program), party)) for party in PARTIES}
        self._run(split(np.zeros((1, *program.input_shape), np.int64), program.protocol))  # opens masked weights

    def masks(self, party: int, request: Sequence[Words]) -> list[Mask]:
        """The masks that hide words from a worker, in their order.

        A message may read a mask and not be hidden by it, where it cancels out or only decides how something rounds:
        that message hardly changes while no other mask is new, and is hidden by an earlier one.
        """
        found = []
        for mask in last_masks(self._program, self.draws, party):
            one, other = self.see(mask, [request] * 2, off=False)
            hides = tuple(node for node in mask.hides if (words_of(one[node]) != words_of(other[node])).all())
            found += [replace(mask, hides=hides)] * bool(hides)
        return found

    def masks_of_comparisons(self) -> list[dict[str, Mask]]:
        """In SecureNN, for each ReLU the masks that hide from worker 2 what it helps to compare, by what they are.

        What it is sent is residues, of which it adds up two shares; they are hidden by all of these masks together.
        """
        found = []
        for message in Schedule(self._program).messages:
            if message.receiver == 2 and message.sender == 0:
                rotated = message.node
                blinded, by = rotated.inputs
                columns, factor, _ = blinded.inputs
                beta = columns.inputs[2]
                pair = (rotated, self._of_server_1(rotated))
                draws = {"beta": beta, "factor": factor.inputs[0], "rotation": by}
                found.append({what: Mask(2, self._place(draw), pair, 0) for what, draw in draws.items()})
        return found

    def _of_server_1(self, of_server_0: Node) -> Node:
        place = self._place(of_server_0.inputs[1])
        (node,) = (
            message.node
            for message in Schedule(self._program).messages
            if (message.sender, message.receiver) == (1, 2) and self._place(message.node.inputs[1]) == place
        )
        return node

    def _place(self, node: Node) -> int:
        assert node.draw is not None, node
        return self.draws.order[node.draw.holders, node.draw.index]

    def see(self, mask: Mask, requests: Sequence[Sequence[Words]], *, off: bool) -> list[Seen]:
        """What the mask's party receives in a run of each request."""
        self.draws.mask, self.draws.off = mask, off
        return [self._seen(mask, request) for request in requests]

    def _seen(self, mask: Mask, request: Sequence[Words]) -> Seen:
        self._run(request)
        sent = {peer: iter(self._three.network.sent[peer, mask.party]) for peer in PARTIES}
        seen: dict[Node, bytes] = {}
        for peer, nodes in self._frames[mask.party]:
            frame, start = next(sent[peer]), 0
            for node in frame_order(nodes):
                seen[node] = frame[start : start + node.nbytes.at(1)]
                start += node.nbytes.at(1)
            assert start == len(frame)
        return seen

    def _run(self, request: Sequence[Words]) -> None:
        self._runs += 1
        for frames in self._three.network.sent.values():
            frames.clear()
        self._three.run(self._runs, request)


def _frames(schedule: Schedule, party: int) -> Sequence[tuple[int, tuple[Node, ...]]]:
    """Sender and values of each frame that a worker receives in a run."""
    mine: PartySchedule = schedule.party(party)
    assert Phase.AHEAD < Phase.ONLINE
    return [received for phase in (mine.ahead, mine.online) for round_ in phase for received in round_.receives.items()]
