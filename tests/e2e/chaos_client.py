"""A client that goes on asking whatever becomes of the workers, and writes down what it got each time.

A process of its own. Run as a program, it asks until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.e2e.cluster.places import PROJECT
from tests.e2e.tools import Kubectl, written
from triveni.cli.inputs import read_rows
from triveni.client import AsyncClient, ClientError
from triveni.client.cluster import Target, reach

DEADLINE_S = 15.0
"""Of a request; the next epoch takes about as long to serve."""

PAUSE_S = 0.2

STOP_S = 60
"""Seconds until it has ended, at most: its last request has a deadline."""


class ChaosClient:
    """What it has got so far."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[str], complaint: IO[str]) -> None:
        self._process, self._said, self._complaint = process, said, complaint

    @property
    def got(self) -> list[dict[str, Any]]:
        """For each request `answer` or `told`, and `late_s`, how long after its deadline it was over.

        AssertionError with its words if it has failed with anything but a typed error.
        """
        if self._process.poll():
            raise AssertionError(f"a client failed: {written(self._complaint)}")
        *lines, _unfinished = written(self._said).split("\n")
        return [json.loads(line) for line in lines]

    @property
    def answers(self) -> list[list[float]]:
        """All answers until now."""
        return [one["answer"] for one in self.got if "answer" in one]

    def stop(self) -> None:
        """Have it ask no more."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(STOP_S)


@contextmanager
def chaos_client(kubectl: Kubectl, name: str, image: Path) -> Iterator[ChaosClient]:
    """A client of a SecureModel, from outside the cluster, that asks for one image beside the block."""
    arguments = [name, kubectl.namespace, str(kubectl.kubeconfig), str(image)]
    command = [sys.executable, "-m", "tests.e2e.chaos_client", *arguments]
    with (
        tempfile.TemporaryFile("w+") as said,
        tempfile.TemporaryFile("w+") as complaint,
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=said, stderr=complaint) as process,
    ):
        try:
            yield ChaosClient(process, said, complaint)
        finally:
            process.kill()


def say(began: float, **what: Any) -> None:
    """Write down how a request ended."""
    late = time.monotonic() - began - DEADLINE_S
    sys.stdout.write(json.dumps({**what, "late_s": round(late, 3)}) + "\n")
    sys.stdout.flush()


async def ask(target: Target, image: Path) -> None:
    """Ask until there is no more input. What ends the way to the cluster is told as well, and it is gone anew."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stopped.set)
    while not stopped.is_set():
        began = time.monotonic()
        try:
            async with reach(target) as connection, AsyncClient(connection, deadline=DEADLINE_S) as client:
                (row,) = read_rows([image], (await client.describe()).input_shape)
                while not stopped.is_set():
                    began = time.monotonic()
                    say(began, answer=(await client.predict(row.values)).ravel().tolist())
                    await asyncio.sleep(PAUSE_S)
        except ClientError as error:
            say(began, told=type(error).__name__, message=str(error))
            await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    name, namespace, kubeconfig, image = sys.argv[1:]
    asyncio.run(ask(Target(name, namespace=namespace, kubeconfig=Path(kubeconfig)), Path(image)))
