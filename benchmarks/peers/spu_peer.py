"""SPU's side: run by the Python of SPU's environment, ``python spu_peer.py DIRECTORY PORT PORT PORT``.

Three processes, SPU's ABY3 in its 64-bit ring, links over mutual TLS where the directory has certificates. It reads
`example.npz` and writes `measured.json`: milliseconds of each run for each batch size, from shares to shares.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]
import numpy as np
import spu  # type: ignore[import-not-found]
import spu.libspu as libspu  # type: ignore[import-not-found]
import spu.utils.frontend as frontend  # type: ignore[import-not-found]

SECRET = libspu.Visibility.VIS_SECRET
BARRIER_S = 120


def network(x: Any, *weights: Any) -> Any:
    """The example: three times convolution, average pooling, ReLU; then a dense layer."""
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = x + bias
        x = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4.0
        x = jnp.maximum(x, 0)
    return x.reshape(x.shape[0], -1) @ weights[-2] + weights[-1]


def settings() -> Any:
    """Triveni's setting: three semi-honest parties and a 64-bit ring. The fixed point is SPU's own for it (18 bits)."""
    return libspu.RuntimeConfig(protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64)


def connect(directory: Path, ports: list[str], rank: int) -> Any:
    """This party's links to the other two."""
    description = libspu.link.Desc()
    description.recv_timeout_ms = BARRIER_S * 1000
    for party, port in enumerate(ports):
        description.add_party(str(party), f"127.0.0.1:{port}")
    certificates = directory / f"party-{rank}"
    if certificates.exists():
        description.enable_ssl = True
        for options in (description.server_ssl_opts, description.client_ssl_opts):
            options.cert.certificate_path = str(certificates / "tls.crt")
            options.cert.private_key_path = str(certificates / "tls.key")
            options.verify.ca_file_path = str(certificates / "ca.crt")
            options.verify.verify_depth = 1
    return libspu.link.create_brpc(description, rank)


def party(directory: Path, ports: list[str], rank: int, pipe: Any, barrier: Any) -> None:
    """One party: what the parent sends is run and timed."""
    runtime = spu.Runtime(connect(directory, ports, rank), settings())
    weights = pipe.recv()
    for name, share in weights.items():
        runtime.set_var(name, share)
    while (work := pipe.recv()) is not None:
        executable, share = work
        barrier.wait(BARRIER_S)
        before = time.perf_counter()
        runtime.set_var("x", share)
        runtime.run(executable)
        answer = runtime.get_var("y")
        pipe.send(((time.perf_counter() - before) * 1e3, answer))


def main() -> None:
    """Start three parties, run the example in both sizes."""
    directory, ports = Path(sys.argv[1]), sys.argv[2:]
    example = np.load(directory / "example.npz")
    repeats = json.loads((directory / "repeats.json").read_text())
    weights = [example[f"weight_{number}"].astype(np.float32) for number in range(int(example["weights"]))]
    names = [f"weight_{number}" for number in range(len(weights))]
    context = multiprocessing.get_context("spawn")
    barrier, pipes = context.Barrier(3), []
    for rank in range(3):
        mine, theirs = context.Pipe()
        context.Process(target=party, args=(directory, ports, rank, theirs, barrier), daemon=True).start()
        pipes.append(mine)
    io = spu.Io(3, settings())
    shared = [io.make_shares(weight, SECRET) for weight in weights]
    for rank, pipe in enumerate(pipes):
        pipe.send({name: shares[rank] for name, shares in zip(names, shared, strict=True)})
    result: dict[str, list[float]] = {}
    difference = 0.0
    for rows, count in repeats.items():
        x, expected = example["images"][: int(rows)].astype(np.float32), example["logits"][: int(rows)]
        executable, _ = frontend.compile(
            frontend.Kind.JAX, network, [x, *weights], {}, ["x", *names], [SECRET] * (1 + len(names)), lambda _: ["y"]
        )
        result[rows] = []
        for _ in range(count + 1):
            shares = io.make_shares(x, SECRET)
            for rank, pipe in enumerate(pipes):
                pipe.send((executable, shares[rank]))
            times, answers = zip(*(pipe.recv() for pipe in pipes), strict=True)
            y = io.reconstruct(list(answers))
            if (y.argmax(axis=1) != expected.argmax(axis=1)).any():
                raise SystemExit("SPU's answer is not the plain one")
            difference = max(difference, float(np.abs(y - expected).max()))
            result[rows].append(max(times))
        del result[rows][0]  # the first run of a size prepares more than the others
    for pipe in pipes:
        pipe.send(None)
    (directory / "measured.json").write_text(json.dumps({"milliseconds": result, "difference": difference}))


if __name__ == "__main__":
    main()
