"""A client that asks for one prediction after the other while something else happens: a process of its own.

Run as a program, it asks until its input ends, and writes each answer as it comes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.beside import Beside, beside, say, told_to_stop
from tests.e2e.tools import Kubectl
from triveni.cli.inputs import read_rows
from triveni.client import AsyncClient
from triveni.client.cluster import Target, reach


@contextmanager
def steady_client(kubectl: Kubectl, name: str, image: Path) -> Iterator[Beside]:
    """A client of a SecureModel, from outside the cluster: it has `got` all answers, and fails if a request does."""
    with beside("tests.e2e.steady_client", name, kubectl.namespace, kubectl.kubeconfig, image) as client:
        yield client


async def ask(target: Target, image: Path) -> None:
    """Ask until there is no more input."""
    stopped = told_to_stop()
    async with reach(target) as connection, AsyncClient(connection) as client:
        (row,) = read_rows([image], (await client.describe()).input_shape)
        while not stopped.is_set():
            say((await client.predict(row.values)).ravel().tolist())


if __name__ == "__main__":
    name, namespace, kubeconfig, image = sys.argv[1:]
    asyncio.run(ask(Target(name, namespace=namespace, kubeconfig=Path(kubeconfig)), Path(image)))
