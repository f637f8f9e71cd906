"""The prover against the truth: random programs of bits, small enough to run them for all draws and all secrets.

A program is run once for each assignment of its draws and the request's components, all assignments as the rows of one
batch. What a party receives is independent of the component it lacks if and only if the rows in which that component is
0 and those in which it is 1 are the same multiset of (what the party knows, what it receives).
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tests.unit.mpc.prove.prove_programs import Toy
from triveni.mpc.affine import ROWS
from triveni.mpc.execute.interpret import evaluate_all
from triveni.mpc.ops import NUMPY, Array
from triveni.mpc.program import PARTIES, Draw, Node, Program
from triveni.mpc.prove import PartyProof, Rule, prove
from triveni.mpc.prove.values import value_numbers
from triveni.mpc.schedule import Schedule

HOLDERS = ("01", "02", "12", "0", "1", "2")


@dataclass
class Bits:
    """A random program of bits under construction; `nodes` may be used by the operations to come."""

    choose: random.Random
    toy: Toy = field(default_factory=Toy)
    nodes: list[Node] = field(default_factory=list)

    def draw(self, party: int, holders: str | None = None) -> Node:
        """A draw, or a part of one of two, that `party` can make."""
        key = holders or self.choose.choice([h for h in HOLDERS if str(party) in h])
        if self.choose.random() < 0.3:
            return self.toy.part(self.toy.draw(party, key, 9, [2, ROWS], "b1"), self.choose.randrange(2))
        return self.toy.draw(party, key, self.choose.randrange(3), dtype="b1")

    def value(self, party: int) -> Node:
        """Something that `party` has, or now and then receives."""
        near = [n for n in self.nodes if n.party == party] or self.nodes
        kind = self.choose.random()
        if kind < 0.35:
            return self.draw(party)
        if kind < 0.55 or not self.nodes:
            return self.toy.bit(party, self.choose.choice([party, (party + 1) % 3]))
        return self.choose.choice(near if kind < 0.95 else self.nodes)

    def operation(self) -> Node:
        party = self.choose.choice(PARTIES)
        op = self.choose.choice(["xor"] * 5 + ["and", "or", "not", "select"])
        count = {"not": 1, "select": 3}.get(op, 2)
        return self.toy.op(op, *(self.value(party) for _ in range(count)), at=party)

    def transfer(self) -> list[Node]:
        """Three messages like those of an oblivious transfer from party 1 with helper 2, mostly right."""
        w0, w1, d = ("12" if self.choose.random() < 0.9 else "02" for _ in range(3))
        index = [self.choose.randrange(3) for _ in range(3)] if self.choose.random() < 0.2 else [0, 1, 2]

        def pad(key: str, number: int, party: int) -> Node:
            return self.toy.draw(party, key.replace("02", "01") if party == 1 else key, index[number], dtype="b1")

        def message(key: str, number: int) -> Node:
            value = self.toy.op("xor", self.value(1), pad(d, 2, 1), at=1)
            return self.toy.op("xor", value, pad(key, number, 1))

        chosen = self.toy.op("select", self.value(2), pad(w1, 1, 2), pad(w0, 0, 2), at=2)
        return [message(w0, 0), message(w1, 1), chosen]

    def program(self) -> Program:
        for _ in range(self.choose.randrange(3, 9)):
            self.nodes.append(self.operation())
        sent = [self.choose.choice(self.nodes[-4:]) for _ in range(self.choose.randrange(1, 5))]
        for node in sent:
            assert node.party is not None
            self.toy.send(node, self.choose.choice([p for p in PARTIES if p != node.party]))
        if self.choose.random() < 0.4:
            for node in self.transfer():
                self.toy.send(node, 0)
        return self.toy.program()


class Truth:
    """All runs of a program of bits; the masks of the answer, which hide nothing from parties, are 0."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.width: dict[Draw, int] = {
            node.draw: len(node.shape) for node in program.nodes if node.draw and node.dtype == "b1"
        }
        self.free = sum(self.width.values())
        self.rows = 2 ** (3 + self.free)
        self.number = np.arange(self.rows)
        self.draws: dict[Draw, Array] = {}
        place = 3
        for draw, width in self.width.items():
            bits = np.stack([self.number >> (place + k) & 1 for k in range(width)])
            self.draws[draw] = bits.astype(NUMPY["b1"]) if width == 2 else bits[0].astype(NUMPY["b1"])
            place += width
        self.values = evaluate_all(program, self._given, self._given, self.rows)

    def _given(self, node: Node) -> Array:
        if node.input is not None:
            return self.number >> node.input.component & 1
        assert node.draw is not None
        return self.draws.get(node.draw, np.zeros(self.rows, np.int64))

    def keeps_secrets(self, party: int) -> bool:
        known = [self.number & 1 << component for component in (party, (party + 1) % 3)]
        known += [bits for draw, bits in self.draws.items() if party in draw.holders]
        received = [m.node for m in Schedule(self.program).messages if m.receiver == party]
        columns = known + [self.values[node] for node in received if node.dtype == "b1"]
        table = np.packbits(np.vstack([np.atleast_2d(column).astype(bool) for column in columns]), axis=0)
        lacking = self.number >> (party + 2) % 3 & 1
        zero, one = (sorted(map(bytes, table[:, lacking == bit].T)) for bit in (0, 1))
        return zero == one


def random_program(seed: int) -> Program:
    return Bits(random.Random(seed)).program()


def judged(party: PartyProof) -> str:
    if party.open:
        return "refused"
    rules = {uniform.rule for uniform in party.uniform if uniform.message.dtype == "b1"}
    if Rule.OBLIVIOUS_TRANSFER in rules:
        return "proved by a transfer"
    return "proved by pads" if rules else "proved, nothing to hide"


def test_what_is_proved_of_random_programs_is_true_for_all_draws_and_secrets() -> None:
    verdicts: Counter[tuple[str, bool]] = Counter()
    for seed in range(400):
        program = random_program(seed)
        truth = Truth(program)
        if truth.free > 11:
            continue
        proof = prove(program)
        assert not proof.violations, seed
        for party in proof.parties:
            verdict, keeps = judged(party), truth.keeps_secrets(party.party)
            verdicts[verdict, keeps] += 1
            assert keeps or verdict == "refused", (seed, party.party, verdict)
    # The sample says something: each rule was used, and much was refused that does leak.
    assert verdicts["proved by pads", True] > 100
    assert verdicts["proved by a transfer", True] > 20
    assert verdicts["refused", False] > 100


def test_nodes_of_one_value_number_have_one_value_in_random_programs() -> None:
    shared = 0
    for seed in range(60):
        program = random_program(seed)
        truth = Truth(program)
        if truth.free > 11:
            continue
        first: dict[int, Node] = {}
        for node, number in value_numbers(program.nodes).items():
            same = first.setdefault(number, node)
            shared += node.op == "xor" and same is not node
            assert np.array_equal(truth.values[node], truth.values[same]), seed
    assert shared > 0
