"""`triveni predict`: asks for the prediction of each image, one after the other, and prints it as it comes."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triveni.cli.answers import class_of
from triveni.cli.errors import CommandFailed, bad_input
from triveni.cli.images import Image, read_images
from triveni.client import Client, ClientError, Connection, InvalidConnection, QuotaReached, WrongInput


def predict(connection: Path, files: Sequence[Path], *, as_json: bool, until_quota: bool, timeout: float) -> None:
    """Predict every image, or all of them again and again until the quota is reached.

    Raises:
        CommandFailed: with the client's words, or about a file that is no image.
    """
    read_images(files)  # what is no image at all is told before anything is waited for
    asked, images = 0, list[Image]()
    try:
        with Client(Connection.read(connection), deadline=timeout) as client:
            images = read_images(files, client.describe().input_shape)
            for index, image in _order(images, forever=until_quota):
                began = time.monotonic()
                answer = client.predict(image.values)
                asked += 1
                _print(index, image, answer, time.monotonic() - began, as_json=as_json)
    except QuotaReached as error:
        if not until_quota or not asked:
            raise CommandFailed(f"{error} ({asked} of {len(images)} predicted)") from None
    except (WrongInput, InvalidConnection) as error:
        raise bad_input(str(error)) from None
    except ClientError as error:
        raise CommandFailed(str(error)) from None


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
