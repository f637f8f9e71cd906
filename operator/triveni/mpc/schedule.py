"""Rounds: which values each party computes when, and which messages carry them to the others.

Values fall into three phases. *Setup* needs weights (and what is drawn once for an epoch) only and is computed once for
an epoch; all that is ever sent of it are weights minus their masks. *Ahead* needs draws (and weights) but not the
request, so it is computed and exchanged before the request is known. *Online* needs the request.

Within a phase every value is computed as soon as its inputs can be there; all messages of a round from one party to
another travel in one frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from triveni.mpc.affine import Affine
from triveni.mpc.program import PARTIES, Node, Program


class Phase(IntEnum):
    """When a value can be known."""

    SETUP = 0
    AHEAD = 1
    ONLINE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """`node`, computed by its own party, is sent to `receiver` at the end of round `round` of `phase`."""

    node: Node
    receiver: int
    phase: Phase
    round: int

    @property
    def sender(self) -> int:
        """The party that computes the value."""
        assert self.node.party is not None
        return self.node.party


@dataclass(frozen=True)
class Round:
    """What one party does in one round: compute `before`, send, compute `after` while the network works, receive.

    `sends` and `receives` give for each peer the values of its one frame, in order.
    """

    before: tuple[Node, ...]
    sends: Mapping[int, tuple[Node, ...]]
    after: tuple[Node, ...]
    receives: Mapping[int, tuple[Node, ...]]


@dataclass(frozen=True)
class PartySchedule:
    """All that one party does for a program."""

    party: int
    setup: tuple[Round, ...]
    ahead: tuple[Round, ...]
    online: tuple[Round, ...]
    outputs: tuple[Node, ...]


@dataclass(frozen=True)
class Cost:
    """Size of a program; bytes are those of all parties together, without framing. `setup_bytes` are once an epoch."""

    online_rounds: int
    ahead_rounds: int
    online_bytes: Affine
    ahead_bytes: Affine
    setup_bytes: Affine


class Schedule:
    """Phases and rounds of a program; `party(p)` is one party's part, `messages` everything that is sent."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._phase: dict[Node, Phase] = {}
        self._round: dict[Node, int] = {}
        messages: dict[tuple[Node, int], Message] = {}
        for node in program.nodes:
            phase = self._phase_of(node)
            self._phase[node] = phase
            at = 0
            for source in node.inputs:
                if source.party is None:
                    continue
                remote = source.party != node.party
                if remote and (source, node.party) not in messages:
                    messages[source, _party(node)] = self._message(source, _party(node))
                if self._phase[source] is phase:
                    at = max(at, self._round[source] + remote)
            self._round[node] = at
        for party, nodes in enumerate(program.outputs):
            for node in nodes:
                if node.party != party and (node, party) not in messages:
                    messages[node, party] = self._message(node, party)
        self.messages: tuple[Message, ...] = tuple(messages.values())

    def _phase_of(self, node: Node) -> Phase:
        if node.draw is not None:
            return Phase.SETUP if node.draw.epoch else Phase.AHEAD
        if node.input is not None:
            return Phase.ONLINE if node.input.is_request else Phase.SETUP
        return max((self._phase[i] for i in node.inputs), default=Phase.SETUP)

    def _message(self, node: Node, receiver: int) -> Message:
        phase = self._phase[node]
        if phase is Phase.SETUP and not is_masked_weight(node):
            raise ValueError(f"{node!r} would be sent at setup, and is no weight minus a mask of its own")
        return Message(node, receiver, phase, self._round[node])

    def rounds(self, phase: Phase) -> int:
        """Number of rounds of a phase, by its last message."""
        return max((m.round + 1 for m in self.messages if m.phase is phase), default=0)

    def cost(self) -> Cost:
        """Rounds and bytes of one run."""
        sizes = {phase: sum((m.node.nbytes for m in self.messages if m.phase is phase), Affine(0)) for phase in Phase}
        return Cost(
            self.rounds(Phase.ONLINE),
            self.rounds(Phase.AHEAD),
            sizes[Phase.ONLINE],
            sizes[Phase.AHEAD],
            sizes[Phase.SETUP],
        )

    def party(self, party: int) -> PartySchedule:
        """One party's part. Its setup ends with a round that computes and sends nothing more, if anything is sent."""
        mine = [n for n in self.program.nodes if n.party == party and n.op not in ("draw", "input")]
        return PartySchedule(
            party,
            self._rounds_of(party, mine, Phase.SETUP),
            self._rounds_of(party, mine, Phase.AHEAD),
            self._rounds_of(party, mine, Phase.ONLINE),
            self.program.outputs[party],
        )

    def _rounds_of(self, party: int, mine: list[Node], phase: Phase) -> tuple[Round, ...]:
        last = max((self._round[n] + 1 for n in mine if self._phase[n] is phase), default=0)
        result = []
        for number in range(max(last, self.rounds(phase))):
            now = [m for m in self.messages if m.phase is phase and m.round == number]
            sends = {q: tuple(m.node for m in now if m.sender == party and m.receiver == q) for q in PARTIES}
            receives = {q: tuple(m.node for m in now if m.sender == q and m.receiver == party) for q in PARTIES}
            nodes = [n for n in mine if self._phase[n] is phase and self._round[n] == number]
            needed = _cone(nodes, [n for ns in sends.values() for n in ns])
            result.append(
                Round(
                    tuple(n for n in nodes if n in needed),
                    {q: ns for q, ns in sends.items() if ns},
                    tuple(n for n in nodes if n not in needed),
                    {q: ns for q, ns in receives.items() if ns},
                )
            )
        return tuple(result)


def is_masked_weight(node: Node) -> bool:
    """Whether a value is one component of a weight minus a draw of the epoch: what may be sent at setup."""
    if node.op != "sub":
        return False
    weight, mask = node.inputs
    return (
        weight.input is not None
        and not weight.input.is_request
        and mask.draw is not None
        and mask.draw.epoch
        and weight.shape == mask.shape == node.shape
        and weight.dtype == mask.dtype == node.dtype
    )


def _party(node: Node) -> int:
    assert node.party is not None
    return node.party


def _cone(nodes: list[Node], goals: list[Node]) -> set[Node]:
    """The goals and all of `nodes` that they need."""
    needed = set(goals)
    for node in reversed(nodes):
        if node in needed:
            needed.update(node.inputs)
    return needed
