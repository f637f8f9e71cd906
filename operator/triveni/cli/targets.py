"""Which running model is meant: one that a connection file leads to, or a SecureModel by its name in a cluster."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from triveni.cli.errors import bad_input
from triveni.client import Connection
from triveni.client.cluster import Target, reach

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

Place = Path | Target
"""The path of a connection file, or a SecureModel in a cluster."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What the options of `options` say."""

    connection: Path | None = None
    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None

    def place(self, name: str | None, example: str) -> Place:
        """The model that is meant; `example` is the rest of a command that names one, for messages.

        Raises:
            CommandFailed: neither or both are given, or the name is none.
        """
        if self.connection is not None:
            self._require_no_cluster()
            if name is not None:
                raise bad_input(f"{name}: not with --connection, whose file names the model; drop one of them")
            return self.connection
        if name is None:
            raise bad_input(
                f"which model? Give the name of a SecureModel, as in triveni {example}, or --connection FILE"
            )
        if not NAME.fullmatch(name):
            raise bad_input(f"{name}: is not the name of a SecureModel; give one first, or --connection and a file")
        return Target(name, self.namespace, self.context, self.kubeconfig)

    def _require_no_cluster(self) -> None:
        there = {"--namespace": self.namespace, "--context": self.context, "--kubeconfig": self.kubeconfig}
        given = [option for option, value in there.items() if value is not None]
        if given:
            raise bad_input(
                f"{given[0]}: not with --connection, whose file says where the workers are; drop one of them"
            )


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[Connection]:
    """A connection that works here as long as the block lasts.

    Raises:
        ClientError: there is none.
    """
    if isinstance(place, Path):
        yield Connection.read(place)
    else:
        async with reach(place) as connection:
            yield connection
