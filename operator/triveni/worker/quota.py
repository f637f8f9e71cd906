"""A worker's own count of its request quota: pure, and the same rule on all three.

A worker trusts no other's count: an order that would pass its own grant is refused, so one wrong worker cannot raise
the quota.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(eq=False)
class OrderBeyondGrant(Exception):
    """An order of `rows` rows when only `remaining` of the grant are left."""

    rows: int
    remaining: int

    def __str__(self) -> str:
        return f"an order of {self.rows} rows would pass the grant, of which {self.remaining} remain"


@dataclass(frozen=True, slots=True)
class Count:
    """Rows granted (None: no limit), admitted to a run, and answered (their answer share was released)."""

    grant: int | None
    admitted: int = 0
    answered: int = 0

    def admit(self, rows: int) -> Count:
        """The count with `rows` more admitted; OrderBeyondGrant if the grant does not allow it."""
        if rows < 1:
            raise ValueError(f"{rows} rows cannot be admitted")
        if self.grant is not None and self.admitted + rows > self.grant:
            raise OrderBeyondGrant(rows, self.grant - self.admitted)
        return replace(self, admitted=self.admitted + rows)

    def answer(self, rows: int) -> Count:
        """The count with `rows` more of the admitted answered; ValueError if they were not admitted."""
        if not 1 <= rows <= self.admitted - self.answered:
            raise ValueError(
                f"{rows} rows cannot be answered: {self.admitted - self.answered} are admitted and waiting"
            )
        return replace(self, answered=self.answered + rows)

    def can_admit(self, rows: int) -> bool:
        """Whether `rows` rows may be admitted now."""
        return self.grant is None or self.admitted + rows <= self.grant

    def can_ever_answer(self, rows: int) -> bool:
        """Whether `rows` rows could still be answered, should all that is admitted fail.

        A client is told that the quota is reached only when this is false: rows that are admitted but not answered
        come back to the quota if the epoch ends before their answers are out.
        """
        return self.grant is None or self.answered + rows <= self.grant

    @property
    def reached(self) -> bool:
        """Whether the whole grant is answered."""
        return self.grant is not None and self.answered >= self.grant
