"""`triveni logs`: what the processes of one SecureModel wrote, each line with whose it is; in a cluster or here."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.text import Text

from triveni.cli.errors import bad_input
from triveni.cli.loglines import rendered
from triveni.cli.output import Screen, json_line, screen
from triveni.cli.targets import TargetOptions
from triveni.client.cluster import Target, look
from triveni.client.cluster.api import PODS, Api
from triveni.client.together import together
from triveni.local.directory import DIRECTORY, RunDirectory

EVERY_S = 1.0

COMPONENTS = ("worker", "sharing", "operator")

RIGHTS = "list pods, get pods/log"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; `of` are the components wanted, `tail` the last lines of each log."""

    name: str | None = None
    target: TargetOptions = field(default_factory=TargetOptions)
    of: Sequence[str] = ("worker", "sharing")
    operator_namespace: str = "triveni-system"
    follow: bool = False
    tail: int = 200
    as_json: bool = False


def logs(options: Options) -> None:
    """Print them, and with `follow` what comes, until interrupted.

    Raises:
        CommandFailed, ClientError: there are none to be had.
    """
    wrong = [kind for kind in options.of if kind not in COMPONENTS]
    if wrong:
        raise bad_input(f"--of: {wrong[0]} writes no log; give {', '.join(COMPONENTS)}, or leave it out")
    place = options.target.place(options.name, "logs NAME")
    out = Out(screen(), as_json=options.as_json)
    asyncio.run(_local(place, options, out) if isinstance(place, Path) else _cluster(place, options, out))


class Out:
    """Prints lines, whoever wrote them."""

    def __init__(self, console: Screen, *, as_json: bool) -> None:
        self._console, self._as_json = console, as_json
        self.lines = 0

    def __call__(self, source: str, line: str) -> None:
        """A line of the log of `source`."""
        self.lines += 1
        if self._as_json:
            json_line({"source": source, "line": line})
        else:
            self._console.print(Text.assemble((f"{source}  ", "cyan"), rendered(line)))


# --- in a cluster -------------------------------------------------------------------------------------------------


async def _cluster(target: Target, options: Options, out: Out) -> None:
    kinds = [kind for kind in options.of if kind != "operator"]
    async with look(target, RIGHTS) as (api, access):
        reading = [_pods(api, target.name, kinds, options, out)] if kinds else []
        if "operator" in options.of:
            there = replace(target, namespace=options.operator_namespace)
            reading.append(_operator(there, access.namespace, options, out))
        await together(reading)
    if not out.lines:
        where = f"of SecureModel {target.name} in namespace {access.namespace}"
        raise bad_input(f"there are no logs {where} now; pods take theirs along. triveni status tells what there was")


async def _pods(api: Api, name: str, kinds: Sequence[str], options: Options, out: Out) -> None:
    """The logs of all pods that there are, and with `follow` of those that come."""
    followed: set[str] = set()
    try:
        async with asyncio.TaskGroup() as group:
            while True:
                pods = _named(await api.select(PODS, f"triveni.dev/model={name}"), kinds)
                for pod, source in pods.items():
                    if pod not in followed:
                        followed.add(pod)
                        group.create_task(_pod(api, pod, source, options, out))
                if not options.follow:
                    return
                await asyncio.sleep(EVERY_S)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _named(pods: Sequence[Mapping[str, object]], kinds: Sequence[str]) -> dict[str, str]:
    """Of the pods of these components, by name: `e2 worker 0`."""
    named = {}
    for pod in pods:
        metadata = pod["metadata"]
        assert isinstance(metadata, dict)
        labels = metadata.get("labels") or {}
        kind, epoch = labels.get("app.kubernetes.io/component"), labels.get("triveni.dev/epoch", "?")
        if kind in kinds:
            party = f" {labels.get('triveni.dev/party', '?')}" if kind == "worker" else ""
            named[str(metadata["name"])] = f"e{epoch} {kind}{party}"
    return dict(sorted(named.items()))


async def _pod(api: Api, name: str, source: str, options: Options, out: Out) -> None:
    """A pod's log; one that does not run yet has none, which is asked for again while it is followed."""
    said = 0
    while not said:
        async for line in api.log(name, follow=options.follow, tail=options.tail):
            said += 1
            out(source, line)
        if not options.follow:
            return
        await asyncio.sleep(EVERY_S)


async def _operator(target: Target, namespace: str, options: Options, out: Out) -> None:
    """What the operator wrote about the SecureModel."""
    async with look(target, f"{RIGHTS} (in the operator's namespace)") as (api, _):
        selector = "app.kubernetes.io/component=operator"
        pods = [pod["metadata"]["name"] for pod in await api.select(PODS, selector)]
        if not pods:
            there = f"namespace {target.namespace}"
            raise bad_input(f"there is no operator in {there}; name the right one with --operator-namespace")

        async def one(pod: str) -> None:
            async for line in api.log(pod, follow=options.follow, tail=max(options.tail, 5000)):
                if _is_about(line, namespace, target.name):
                    out("operator", line)

        await together(one(pod) for pod in pods)


def _is_about(line: str, namespace: str, name: str) -> bool:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and (document.get("namespace"), document.get("name")) == (namespace, name)


# --- of a run on this machine -------------------------------------------------------------------------------------


async def _local(path: Path, options: Options, out: Out) -> None:
    """From the run directory that the connection file names; it goes with the run, and its logs with it."""
    directory = _directory(path)
    positions: dict[Path, int] = {}
    while True:
        for source, log in directory.logs():
            if any(kind in log.stem for kind in options.of):
                positions[log] = _read(log, source, positions.get(log), options, out)
        if not options.follow or not directory.path.is_dir():
            break
        await asyncio.sleep(EVERY_S / 5)


def _directory(path: Path) -> RunDirectory:
    try:
        document = json.loads(path.read_bytes())
        folder = document.get(DIRECTORY) if isinstance(document, dict) else None
    except (OSError, ValueError, RecursionError):
        raise bad_input(f"{path}: is no connection file of a run; give the one that triveni run wrote") from None
    if not isinstance(folder, str):
        raise bad_input(f"{path}: names no run on this machine; for a cluster give the SecureModel's NAME instead")
    if not Path(folder).is_dir():
        raise bad_input(
            f"{path}: its run has ended, and its logs with it; triveni run --verbose shows them as they come"
        )
    return RunDirectory(Path(folder))


def _read(log: Path, source: str, position: int | None, options: Options, out: Out) -> int:
    """Print the whole lines from a position on (None: the last ones); the position behind them."""
    data = b""
    with contextlib.suppress(FileNotFoundError):
        data = log.read_bytes()[position or 0 :]
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.decode(errors="replace").splitlines()
    for line in lines if position is not None else lines[-options.tail :]:
        out(source, line)
    return (position or 0) + len(whole)
