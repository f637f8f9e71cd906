"""A client that asks for one prediction after the other while something else happens: a process of its own.

Run as a program, it asks until its input ends, and writes each answer as it comes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.e2e.cluster.places import PROJECT
from tests.e2e.tools import Kubectl, written
from triveni.cli.inputs import read_rows
from triveni.client import AsyncClient
from triveni.client.cluster import Target, reach

STOP_S = 90
"""Seconds until it has ended, at most: it waits for the answer that it has asked for."""


class SteadyClient:
    """What it has got so far."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[str], complaint: IO[str]) -> None:
        self._process, self._said, self._complaint = process, said, complaint

    @property
    def answers(self) -> list[list[float]]:
        """All answers until now, in order. AssertionError with its words if a request has failed."""
        if self._process.poll():
            raise AssertionError(f"a request failed: {written(self._complaint)}")
        *lines, _unfinished = written(self._said).split("\n")
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        """Have it ask no more."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(STOP_S)


@contextmanager
def steady_client(kubectl: Kubectl, name: str, image: Path) -> Iterator[SteadyClient]:
    """A client of a SecureModel, from outside the cluster, that asks beside the block until it is told to stop."""
    arguments = [name, kubectl.namespace, str(kubectl.kubeconfig), str(image)]
    command = [sys.executable, "-m", "tests.e2e.steady_client", *arguments]
    with (
        tempfile.TemporaryFile("w+") as said,
        tempfile.TemporaryFile("w+") as complaint,
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=said, stderr=complaint) as process,
    ):
        client = SteadyClient(process, said, complaint)
        try:
            yield client
        finally:
            process.kill()


async def ask(target: Target, image: Path) -> None:
    """Ask until there is no more input."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stopped.set)
    async with reach(target) as connection, AsyncClient(connection) as client:
        (row,) = read_rows([image], (await client.describe()).input_shape)
        while not stopped.is_set():
            answer = (await client.predict(row.values)).ravel().tolist()
            sys.stdout.write(f"{json.dumps(answer)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    name, namespace, kubeconfig, image = sys.argv[1:]
    asyncio.run(ask(Target(name, namespace=namespace, kubeconfig=Path(kubeconfig)), Path(image)))
