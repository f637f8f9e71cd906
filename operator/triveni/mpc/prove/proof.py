"""What a proof says, as data, and the error that says it in words. It holds no value of any node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from triveni.mpc.affine import Affine
from triveni.mpc.program import Node
from triveni.mpc.prove.atoms import Atom


class Rule(StrEnum):
    """Why a message is uniform whatever the secrets are."""

    ONE_TIME_PAD = "one-time pad"
    OBLIVIOUS_TRANSFER = "three-party oblivious transfer"
    COMPARISON = "blinded comparison"


class Structure(StrEnum):
    """A premise of the proof that is about the form of the program."""

    FORM = "form"
    DRAW = "draw"
    INPUT = "input"
    OUTPUT = "output"
    MESSAGE = "message"
    TRUNCATION = "truncation"
    ANSWER = "answer"


@dataclass(frozen=True)
class Violation:
    """A premise that does not hold, and where."""

    structure: Structure
    reason: str

    def __str__(self) -> str:
        return f"rule '{self.structure}': {self.reason}"


@dataclass(frozen=True)
class Uniform:
    """A message that is uniform, given everything that is not removed before it, by its `pad`."""

    message: Node
    pad: Atom
    rule: Rule


@dataclass(frozen=True)
class OpenMessage:
    """A message that may depend on a secret that its receiver does not hold, and why no rule removes it.

    `number` is its place among the nodes of the program.
    """

    message: Node
    number: int
    reason: str

    def __str__(self) -> str:
        node = self.message
        shape = ",".join(map(str, node.shape))
        return f"node {self.number} ({node.op} {node.dtype}[{shape}] of party {node.party}): {self.reason}"


@dataclass(frozen=True)
class PartyProof:
    """What one party receives in a run: `uniform` in the order of elimination, `without_secret`, and `open`."""

    party: int
    words: Affine
    """Elements received (words, bytes of planes, bits)."""

    uniform: tuple[Uniform, ...]
    without_secret: tuple[Node, ...]
    open: tuple[OpenMessage, ...]

    @property
    def messages(self) -> int:
        """How many tensors the party receives."""
        return len(self.uniform) + len(self.without_secret) + len(self.open)


@dataclass(frozen=True)
class Row:
    """One party's line in the table of a proof: how many tensors it receives, and what was shown about them."""

    party: int
    received: int
    uniform: int
    without_secret: int
    open: int


@dataclass(frozen=True)
class Proof:
    """The result for one program: `digest` says which. `parties` is empty if the form alone rules a proof out."""

    digest: str
    parties: tuple[PartyProof, ...]
    violations: tuple[Violation, ...]

    @property
    def holds(self) -> bool:
        """Whether every worker's view is independent of the secrets that it does not hold."""
        return not self.violations and len(self.parties) == 3 and not any(p.open for p in self.parties)

    def table(self) -> tuple[Row, ...]:
        """What `triveni check` shows."""
        return tuple(Row(p.party, p.messages, len(p.uniform), len(p.without_secret), len(p.open)) for p in self.parties)

    def failures(self) -> Iterator[str]:
        """Everything that keeps the proof from holding, one sentence each."""
        for violation in self.violations:
            yield str(violation)
        for party in self.parties:
            for message in party.open:
                yield f"party {party.party} could learn from {message}"


class Unproven(Exception):
    """A program that must not run: nothing shows that it keeps the secrets."""

    SHOWN = 3
    """How many failures the text names."""

    def __init__(self, proof: Proof) -> None:
        super().__init__(proof)
        self.proof = proof

    def __str__(self) -> str:
        failures = list(self.proof.failures())
        more = len(failures) - self.SHOWN
        return (
            f"program {self.proof.digest[:12]} is not proved to keep the secrets, so it does not run: "
            + "; ".join(failures[: self.SHOWN])
            + (f"; and {more} more" if more > 0 else "")
            + ". The cause is a layer or a protocol, never the weights: `triveni check MODEL` without the layers in "
            "doubt shows which one; choose another layer or protocol, and report this text."
        )
