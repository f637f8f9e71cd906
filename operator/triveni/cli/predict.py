"""`triveni predict`: asks for the prediction of each image, one after the other, and prints it as it comes."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triveni.cli.answers import class_of
from triveni.cli.errors import CommandFailed, bad_input
from triveni.cli.images import Image, read_images
from triveni.client import AsyncClient, ClientError, Connection, InvalidConnection, QuotaReached, WrongInput
from triveni.client.cluster import Target, reach
from triveni.client.cluster.errors import KubeconfigUnusable

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: a connection file and images, or the name of a SecureModel in a cluster first."""

    arguments: Sequence[str]
    connection: Path | None = None
    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    as_json: bool = False
    until_quota: bool = False
    timeout: float = 60.0


@dataclass
class Progress:
    """How far it is."""

    images: int = 0
    asked: int = 0


def predict(options: Options) -> None:
    """Predict every image, or all of them again and again until the quota is reached.

    Raises:
        CommandFailed: with the client's words, or about a file that is no image.
    """
    source, files = _source(options)
    read_images(files)  # what is no image at all is told before anything is waited for
    progress = Progress()
    try:
        asyncio.run(_predict(source, files, options, progress))
    except QuotaReached as error:
        if not options.until_quota or not progress.asked:
            asked = f" ({progress.asked} of {progress.images} predicted)" if progress.images else ""
            raise CommandFailed(f"{error}{asked}") from None
    except (WrongInput, InvalidConnection, KubeconfigUnusable) as error:
        raise bad_input(str(error)) from None
    except ClientError as error:
        raise CommandFailed(str(error)) from None


def _source(options: Options) -> tuple[Path | Target, list[Path]]:
    """Where the workers are, and the images."""
    there = {"--namespace": options.namespace, "--context": options.context, "--kubeconfig": options.kubeconfig}
    given = [name for name, value in there.items() if value is not None]
    if options.connection is not None:
        if given:
            raise bad_input(
                f"{given[0]}: not with --connection, whose file says where the workers are; drop one of them"
            )
        return options.connection, [Path(argument) for argument in options.arguments]
    name, *images = options.arguments
    if not NAME.fullmatch(name):
        raise bad_input(
            f"{name}: is not the name of a SecureModel; give that before the images, or --connection and a file"
        )
    if not images:
        raise bad_input(f"no images for SecureModel {name}; give PNG, npy or npz files after its name")
    return Target(name, options.namespace, options.context, options.kubeconfig), [Path(image) for image in images]


@asynccontextmanager
async def _connection(source: Path | Target) -> AsyncIterator[Connection]:
    if isinstance(source, Path):
        yield Connection.read(source)
    else:
        async with reach(source) as connection:
            yield connection


async def _predict(source: Path | Target, files: Sequence[Path], options: Options, progress: Progress) -> None:
    async with _connection(source) as connection, AsyncClient(connection, deadline=options.timeout) as client:
        images = read_images(files, (await client.describe()).input_shape)
        progress.images = len(images)
        for index, image in _order(images, forever=options.until_quota):
            began = time.monotonic()
            answer = await client.predict(image.values)
            progress.asked += 1
            _print(index, image, answer, time.monotonic() - began, as_json=options.as_json)


def _order(images: Sequence[Image], *, forever: bool) -> Iterable[tuple[int, Image]]:
    numbered = list(enumerate(images))
    return itertools.cycle(numbered) if forever else numbered


def _print(index: int, image: Image, answer: NDArray[np.float64], seconds: float, *, as_json: bool) -> None:
    most = class_of(answer)
    if as_json:
        document = {
            "index": index,
            "image": image.name,
            "class": most,
            "answer": answer.tolist(),
            "seconds": round(seconds, 6),
        }
        text = json.dumps(document)
    else:
        values = " ".join(f"{value:.3f}" for value in answer.ravel())
        text = f"{image.name}  {'' if most is None else most}  [{values}]  {seconds * 1000:.1f} ms"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
