"""Everything that was ever there: objects as a watch has seen them come, also those that are gone again."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

from tests.e2e.tools import Kubectl, written

_COLUMNS = "--output=custom-columns=KIND:.kind,NAME:.metadata.name,UID:.metadata.uid"


class Sightings:
    """What the watches have seen until now."""

    def __init__(self, seen: Sequence[IO[str]]) -> None:
        self._seen = seen

    def uids(self) -> Mapping[str, set[str]]:
        """By `Kind/name`, the uid of every object that had this name."""
        uids: dict[str, set[str]] = defaultdict(set)
        for file in self._seen:
            for line in written(file).splitlines():
                kind, name, uid = line.split()
                uids[f"{kind}/{name}"].add(uid)
        return uids


@contextmanager
def sightings(kubectl: Kubectl, *kinds: str) -> Iterator[Sightings]:
    """Watch objects of these kinds in a namespace as long as the block lasts."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in kinds]
        for kind, file in zip(kinds, files, strict=True):
            stack.enter_context(kubectl.running("get", kind, "--watch", "--no-headers", _COLUMNS, output=file))
        yield Sightings(files)
