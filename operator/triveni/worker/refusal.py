"""A request that is not served: the reason for a program, and a sentence for a person."""

from __future__ import annotations

from dataclasses import dataclass

from triveni.api.inference import Reason


@dataclass(eq=False)
class Refused(Exception):
    """Why a request is refused; `message` holds no share and no answer."""

    reason: Reason
    message: str

    def __str__(self) -> str:
        return self.message


QUOTA_REACHED = "request quota reached"
