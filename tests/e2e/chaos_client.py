"""A client that goes on asking whatever becomes of the workers, and writes down what it got each time.

A process of its own. Run as a program, it asks until its input ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.beside import Beside, beside, say, told_to_stop
from tests.e2e.tools import Kubectl
from triveni.cli.inputs import read_rows
from triveni.client import AsyncClient, ClientError
from triveni.client.cluster import Target, reach

DEADLINE_S = 15.0
"""Of a request; the next epoch takes about as long to serve."""

PAUSE_S = 0.2
"""Between two requests: the kills take a while, and the quota is to last for all of them."""


@contextmanager
def chaos_client(kubectl: Kubectl, name: str, image: Path) -> Iterator[Beside]:
    """A client of a SecureModel, from outside the cluster, that asks for one image.

    It has `got` for each request its `answer`, or what it was `told`, and `late_s`, how long after its deadline it was
    over. It fails at anything but a typed error.
    """
    with beside("tests.e2e.chaos_client", name, kubectl.namespace, kubectl.kubeconfig, image) as client:
        yield client


def answers(client: Beside) -> list[list[float]]:
    """All answers of a chaos client until now."""
    return [one["answer"] for one in client.got if "answer" in one]


def _over(began: float, **what: Any) -> None:
    """Write down how a request ended."""
    say({**what, "late_s": round(time.monotonic() - began - DEADLINE_S, 3)})


async def ask(target: Target, image: Path) -> None:
    """Ask until there is no more input. What ends the way to the cluster is told as well, and it is gone anew."""
    stopped = told_to_stop()
    while not stopped.is_set():
        began = time.monotonic()
        try:
            async with reach(target) as connection, AsyncClient(connection, deadline=DEADLINE_S) as client:
                (row,) = read_rows([image], (await client.describe()).input_shape)
                while not stopped.is_set():
                    began = time.monotonic()
                    _over(began, answer=(await client.predict(row.values)).ravel().tolist())
                    await asyncio.sleep(PAUSE_S)
        except ClientError as error:
            _over(began, told=type(error).__name__, message=str(error))
            await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    name, namespace, kubeconfig, image = sys.argv[1:]
    asyncio.run(ask(Target(name, namespace=namespace, kubeconfig=Path(kubeconfig)), Path(image)))
