"""Pods that are gone, as they last were: what a worker said at its end counts, though its pod was deleted meanwhile.

In memory only. An operator that was not there to hear it charges by what the other workers say.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from triveni.controller.objects import names

MOST = 3000
"""Pods that are remembered; the oldest are forgotten first."""


class Departed:
    """The last states of worker pods that were deleted."""

    def __init__(self) -> None:
        self._pods: OrderedDict[tuple[str, str, str], Mapping[str, Any]] = OrderedDict()

    def remember(self, pod: Mapping[str, Any]) -> None:
        """A pod is gone, and this is the last that was seen of it."""
        labels = pod["metadata"].get("labels") or {}
        uid, epoch, party = (labels.get(label) for label in (names.MODEL_UID, names.EPOCH, names.PARTY))
        if uid and epoch and party:
            self._pods[(uid, epoch, party)] = pod
            while len(self._pods) > MOST:
                self._pods.popitem(last=False)

    def of(self, uid: str, epoch: int) -> list[Mapping[str, Any]]:
        """Those of an epoch."""
        return [pod for (owner, number, _), pod in self._pods.items() if (owner, number) == (uid, str(epoch))]
