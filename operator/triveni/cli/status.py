"""`triveni status`: of SecureModels in a cluster, or of workers that a connection file leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.text import Text

from triveni.cli.errors import bad_input
from triveni.cli.output import columns, screen
from triveni.cli.securemodels import ModelStatus, next_steps, read
from triveni.cli.targets import TargetOptions
from triveni.cli.watching import Shown, require_one, show
from triveni.client import Connection
from triveni.client.cluster import Target, look
from triveni.client.cluster.api import MODELS, Api
from triveni.client.cluster.errors import NoSuchModel
from triveni.client.live import Live, WorkerStatus

EVERY_S = 2.0

RIGHTS = "get and list securemodels"

STYLES = {"True": "green", "False": "red", "Serving": "green"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    name: str | None = None
    target: TargetOptions = field(default_factory=TargetOptions)
    everywhere: bool = False
    watch: bool = False
    as_json: bool = False


def status(options: Options) -> None:
    """Show it, once or until interrupted.

    Raises:
        CommandFailed, ClientError: there is nothing to be seen.
    """
    asyncio.run(_local(options) if options.target.connection is not None else _cluster(options))


# --- in a cluster -------------------------------------------------------------------------------------------------


async def _cluster(options: Options) -> None:
    if options.name is not None and options.everywhere:
        raise bad_input(f"{options.name}: not with --all-namespaces; name its namespace, or drop one of them")
    given = options.target
    target = Target(options.name or "", given.namespace, given.context, given.kubeconfig)
    if options.name is not None:
        found = given.place(options.name, "status NAME")
        assert isinstance(found, Target)
        target = found
    async with look(target, RIGHTS) as (api, access):

        async def now() -> Shown:
            if options.name is None:
                return _list(await _all(api, options), options, access.namespace)
            model = await api.get(MODELS, options.name)
            if model is None:
                hint = f"see triveni status -n {access.namespace}, or give another --namespace"
                raise NoSuchModel(options.name, access.namespace, hint)
            one = read(model)
            return Shown(list(lines(one)), [one.document()])

        await show(now, screen(), as_json=options.as_json, every=EVERY_S if options.watch else None)


async def _all(api: Api, options: Options) -> Sequence[ModelStatus]:
    return [read(model) for model in await api.all(MODELS, everywhere=options.everywhere)]


def _list(models: Sequence[ModelStatus], options: Options, namespace: str) -> Shown:
    """A line for each."""
    documents = [model.document() for model in models]
    if not models:
        there = "all namespaces" if options.everywhere else f"namespace {namespace}"
        return Shown([Text(f"There are no SecureModels in {there}.")], documents)
    head = ["NAME", "READY", "QUOTA", "SERVED", "EPOCH", "PROTOCOL", "REASON"]
    rows = [
        [m.name, m.ready or "?", _limit(m.quota), str(m.served), str(m.epoch or ""), m.protocol, m.reason]
        for m in models
    ]
    if options.everywhere:
        head = ["NAMESPACE", *head]
        rows = [[model.namespace, *row] for model, row in zip(models, rows, strict=True)]
    first, *others = columns([head, *rows])
    return Shown([Text(first, "bold"), *map(Text, others)], documents)


def lines(model: ModelStatus) -> Iterator[Text]:
    """One of them in full."""
    yield Text(f"{model.name} in namespace {model.namespace}, {model.protocol}", "bold")
    rows = [(c.type, c.status, c.reason, c.message) for c in model.conditions]
    for condition, line in zip(model.conditions, columns(rows), strict=True):
        text = Text(f"  {line}")
        text.highlight_words([condition.status], STYLES.get(condition.status, "yellow"))
        yield text
    left = "no limit" if model.quota is None else f"{model.remaining if model.remaining is not None else '?'} left"
    yield Text(f"  quota      {_limit(model.quota)}: {model.served} answered, {model.charged} charged, {left}")
    if model.epoch is not None:
        granted = f"{model.phase}, {_limit(model.granted)} granted, since {model.started_at}"
        yield Text(f"  epoch      {model.epoch}: {granted}")
    for receipt in model.receipts:
        erased = f"{receipt.bytes_erased:,} bytes at {receipt.erased_at}"
        yield Text(f"  erased     worker {receipt.party} of epoch {receipt.epoch}: {erased}")
    for step in next_steps(model):
        yield Text(f"  next       {step}", "bold")


# --- by a connection file -----------------------------------------------------------------------------------------


async def _local(options: Options) -> None:
    path = options.target.place(options.name, "status NAME")
    assert isinstance(path, Path)
    if options.everywhere:
        raise bad_input("--all-namespaces: not with --connection, whose file names the model; drop one of them")
    connection = Connection.read(path)
    async with Live(connection) as live:
        workers: Sequence[WorkerStatus] = ()

        async def now() -> Shown:
            nonlocal workers
            workers = await live.status()
            document = {"name": connection.name, "namespace": connection.namespace, "workers": [*map(asdict, workers)]}
            return Shown(list(_workers(connection, path, workers)), [document])

        await show(now, screen(), as_json=options.as_json, every=EVERY_S if options.watch else None)
    require_one(workers)


def _workers(connection: Connection, path: Path, workers: Sequence[WorkerStatus]) -> Iterator[Text]:
    yield Text(f"{connection.name}, by {path}", "bold")
    head = ("WORKER", "STATE", "EPOCH", "GRANTED", "ANSWERED", "WAITING")
    rows = [
        (str(w.party), w.problem)
        if w.problem
        else (str(w.party), w.state, str(w.epoch), _limit(w.granted), str(w.answered), str(w.waiting))
        for w in workers
    ]
    for line in columns([head, *rows]):
        yield Text(f"  {line}")
    if all(worker.state == "Serving" for worker in workers):
        yield Text(f"  next       ask it: triveni predict --connection {path} FILE", "bold")
    elif all(worker.problem for worker in workers):
        yield Text(
            "  next       nothing runs there (any more): start it again, or ask for a new connection file", "bold"
        )
    else:
        yield Text(f"  next       wait: triveni status --watch --connection {path}", "bold")


def _limit(number: int | None) -> str:
    return "no limit" if number is None else str(number)
