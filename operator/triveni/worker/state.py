"""The life of a worker: its states, which may follow which, and why it can end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a worker is in its life."""

    STARTING = "Starting"
    WAITING_FOR_ARCHITECTURE = "WaitingForArchitecture"
    COMPILING = "Compiling"
    WAITING_FOR_SHARES = "WaitingForShares"
    SERVING = "Serving"
    QUOTA_REACHED = "QuotaReached"
    ERASED = "Erased"
    FAILED = "Failed"


class EndReason(StrEnum):
    """Why a worker's epoch ended, for its report."""

    QUOTA_REACHED = "QuotaReached"
    TERMINATED = "Terminated"
    PEER_LOST = "PeerLost"
    PEERS_UNREACHABLE = "PeersUnreachable"
    SHARE_TIMEOUT = "ShareTimeout"
    COMPILE_FAILED = "CompileFailed"
    UNPROVEN = "Unproven"
    PROGRAMS_DIFFER = "ProgramsDiffer"
    ORDER_BEYOND_GRANT = "OrderBeyondGrant"
    INVALID_ORDER = "InvalidOrder"
    ENGINE_FAILED = "EngineFailed"
    INVALID_CONFIG = "InvalidConfig"
    INVALID_CREDENTIALS = "InvalidCredentials"
    CANNOT_LISTEN = "CannotListen"

    @property
    def exit_code(self) -> int:
        """0 for the two ends that were asked for, 1 for all others."""
        return 0 if self in (EndReason.QUOTA_REACHED, EndReason.TERMINATED) else 1

    @property
    def permanent(self) -> bool:
        """Whether the next epoch's worker would end for the same reason."""
        return self in _PERMANENT

    @property
    def final_state(self) -> State:
        """The last state of a worker that ends for this reason."""
        return State.ERASED if self.exit_code == 0 else State.FAILED


_PERMANENT = frozenset(
    {
        EndReason.COMPILE_FAILED,
        EndReason.UNPROVEN,
        EndReason.INVALID_CONFIG,
        EndReason.INVALID_CREDENTIALS,
    }
)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why it ends, for a program and for a person."""

    reason: EndReason
    message: str


FOLLOWING: Mapping[State, frozenset[State]] = {
    State.STARTING: frozenset({State.WAITING_FOR_ARCHITECTURE}),
    State.WAITING_FOR_ARCHITECTURE: frozenset({State.COMPILING}),
    State.COMPILING: frozenset({State.WAITING_FOR_SHARES}),
    State.WAITING_FOR_SHARES: frozenset({State.SERVING}),
    State.SERVING: frozenset({State.QUOTA_REACHED}),
    State.QUOTA_REACHED: frozenset(),
    State.ERASED: frozenset(),
    State.FAILED: frozenset(),
}
"""What may follow each state; from each but the last two a worker can also end."""

FINAL = frozenset({State.ERASED, State.FAILED})


@dataclass(eq=False)
class InvalidTransition(Exception):
    """A step that the life of a worker does not have."""

    before: State
    after: State

    def __str__(self) -> str:
        return f"{self.after} cannot follow {self.before}"


def advance(before: State, after: State) -> State:
    """`after`, if it may follow `before`; InvalidTransition otherwise."""
    ends = after in FINAL and before not in FINAL
    if not ends and after not in FOLLOWING[before]:
        raise InvalidTransition(before, after)
    return after
