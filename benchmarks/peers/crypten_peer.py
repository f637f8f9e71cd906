"""CrypTen's side: run by the Python of CrypTen's environment, ``python crypten_peer.py DIRECTORY PORT PORT PORT``.

Three processes, additive shares among all three, multiplication triples from party 0 (CrypTen's default, and its
fastest: weaker than Triveni's setting), gloo over plain TCP. It reads `example.npz` and writes `measured.json`:
milliseconds of each run for each batch size, from shares to shares.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ANSWER_S = 240


def network(crypten: Any, weights: list[Any]) -> Any:
    """The example: three times convolution, average pooling, ReLU; then a dense layer. Channels first, as in torch."""
    import torch  # type: ignore[import-not-found]

    layers = []
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        height, width, channels, filters = kernel.shape
        convolution = crypten.nn.Conv2d(channels, filters, (height, width))
        convolution.set_parameter("weight", torch.tensor(kernel.transpose(3, 2, 0, 1).copy()))
        convolution.set_parameter("bias", torch.tensor(bias))
        layers += [convolution, crypten.nn.AvgPool2d(2), crypten.nn.ReLU()]
    # The dense layer's rows are in Keras's order (height, width, channels); torch flattens channels first.
    dense = crypten.nn.Linear(*weights[-2].shape)
    side = int((weights[-2].shape[0] // weights[-4].shape[-1]) ** 0.5)
    rows = weights[-2].reshape(side, side, -1, weights[-2].shape[1]).transpose(2, 0, 1, 3)
    dense.set_parameter("weight", torch.tensor(rows.reshape(weights[-2].shape).T.copy()))
    dense.set_parameter("bias", torch.tensor(weights[-1]))
    return crypten.nn.Sequential(*layers, crypten.nn.Flatten(), dense)


def party(directory: Path, port: str, rank: int, queue: Any) -> None:
    """One party: all sizes one after the other; party 0 tells."""
    os.environ |= {"WORLD_SIZE": "3", "RANK": str(rank), "RENDEZVOUS": f"tcp://127.0.0.1:{port}"}
    os.environ |= {"DISTRIBUTED_BACKEND": "gloo", "GLOO_SOCKET_IFNAME": "lo"}
    import crypten  # type: ignore[import-not-found]
    import torch

    torch.set_num_threads(1)
    crypten.init()
    example = np.load(directory / "example.npz")
    repeats = json.loads((directory / "repeats.json").read_text())
    weights = [example[f"weight_{number}"].astype(np.float32) for number in range(int(example["weights"]))]
    model = network(crypten, weights).encrypt(src=0)
    model.eval()
    result: dict[str, list[float]] = {}
    difference = 0.0
    for rows, count in repeats.items():
        images, expected = example["images"][: int(rows)].astype(np.float32), example["logits"][: int(rows)]
        result[rows] = []
        for _ in range(count + 1):
            x = crypten.cryptensor(torch.tensor(images.transpose(0, 3, 1, 2).copy()), src=1)
            torch.distributed.barrier()
            before = time.perf_counter()
            answer = model(x)
            result[rows].append((time.perf_counter() - before) * 1e3)
            y = answer.get_plain_text().numpy()
            if (y.argmax(axis=1) != expected.argmax(axis=1)).any():
                raise SystemExit("CrypTen's answer is not the plain one")
            difference = max(difference, float(np.abs(y - expected).max()))
        del result[rows][0]  # the first run of a size prepares more than the others
    if rank == 0:
        queue.put({"milliseconds": result, "difference": difference})


def main() -> None:
    """Start three parties and wait for what party 0 measured."""
    context = multiprocessing.get_context("spawn")
    directory = Path(sys.argv[1])
    queue: Any = context.Queue()
    for rank in range(3):
        context.Process(target=party, args=(directory, sys.argv[2], rank, queue), daemon=True).start()
    (directory / "measured.json").write_text(json.dumps(queue.get(timeout=ANSWER_S)))


if __name__ == "__main__":
    main()
