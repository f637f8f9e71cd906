"""`triveni run`: a manifest served on this machine until its request quota is reached."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from triveni import __version__
from triveni.api.manifest import Manifest, TwoFiles, read_manifest
from triveni.api.problems import Problem, problems_of
from triveni.cli.cache import cache_directory
from triveni.cli.errors import CommandFailed, bad_input, drop_output
from triveni.cli.exit_codes import INTERRUPTED, OK
from triveni.cli.inputs import STDIN, Row, read_rows
from triveni.cli.lines import EventLines
from triveni.cli.output import screen
from triveni.cli.view import CLIENT, KERAS, RunView
from triveni.local.directory import FileExists
from triveni.local.events import Event, Summary
from triveni.local.foreground import Interrupted, keep_signals, run_in_foreground
from triveni.local.ports import NoFreePorts, PortInUse
from triveni.local.runner import Companion, Plan, RunFailed

CLIENT_TIMEOUT_S = 600
"""The client of a run waits for its workers as long as a first compilation may take."""

WHOLE = re.compile(r"-?[0-9]{1,18}")

OPTIONS: Mapping[str, str] = {"spec.requestQuota": "--quota", "spec.protocol": "--protocol"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    manifest: Path
    quota: str | None = None
    protocol: str | None = None
    predict: Sequence[Path] = ()
    keep_serving: bool = False
    connection: Path | None = None
    port: int | None = None
    as_json: bool = False
    verbose: bool = False
    model: Path | None = None
    weights: Path | None = None


def run(options: Options) -> int:
    """Run and show it; the exit code.

    Raises:
        InvalidManifest, CommandFailed: it cannot begin or cannot go on.
    """
    manifest = _manifest(options)
    files, until_quota = _asked(options, manifest)
    rows = read_rows(files) if files else []
    companions = _companions(files, until_quota=until_quota, ends_run=not options.keep_serving)
    plan = Plan(manifest, options.connection, options.port, companions, options.verbose, cache_directory())
    keep_signals()
    view = EventLines() if options.as_json else _view(manifest, rows, compare=bool(files))
    told = Told(view)
    try:
        summary = run_in_foreground(plan, told)
    except Interrupted as error:
        if told.closed:
            raise BrokenPipeError from None
        raise CommandFailed(str(error), INTERRUPTED) from None
    except (PortInUse, FileExists) as error:
        raise bad_input(str(error)) from None
    except (RunFailed, NoFreePorts) as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or 'the system'}: {error.strerror}") from None
    finally:
        view.finish()
    view.summary(summary)
    if view.client_failed:
        said, code = view.client_failed
        sys.stderr.write(f"{said}\n")
        return code
    return OK


class View(Protocol):
    """Shows a run: each event as it comes, and what is left at its end."""

    client_failed: tuple[str, int] | None
    """What the client of the run said last, and its exit code, if it failed."""

    def __call__(self, event: Event) -> None:
        """Show an event."""

    def finish(self) -> None:
        """Show what still waits, and stop moving."""

    def summary(self, summary: Summary) -> None:
        """Show what a run came to."""


class Told:
    """Hands events on to a view. When nobody reads the output any more, the run ends in order."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.closed = False

    def __call__(self, event: Event) -> None:
        """Show an event, or nothing."""
        try:
            self._view(event)
        except BrokenPipeError:
            drop_output()
            if not self.closed:
                self.closed = True
                os.kill(os.getpid(), signal.SIGTERM)


def _manifest(options: Options) -> Manifest:
    if options.weights and not options.model:
        raise bad_input("--weights goes with --model: the JSON of model.to_json()")
    instead = TwoFiles(options.model, options.weights) if options.model and options.weights else options.model
    manifest = read_manifest(options.manifest, instead)
    changes: dict[str, object] = {}
    if options.quota is not None:
        changes["requestQuota"] = int(options.quota) if WHOLE.fullmatch(options.quota) else options.quota
    if options.protocol is not None:
        changes["protocol"] = options.protocol
    try:
        changed = manifest.secure_model.with_spec(**changes)
    except ValidationError as error:
        raise _wrong_options(problems_of(error)) from None
    return replace(manifest, secure_model=changed)


def _wrong_options(problems: Sequence[Problem]) -> CommandFailed:
    """What is wrong with the spec, said of the options that made it so."""
    return bad_input("\n".join(str(replace(p, field=OPTIONS.get(p.field, p.field))) for p in problems))


def _asked(options: Options, manifest: Manifest) -> tuple[Sequence[Path], bool]:
    """The files whose rows this run asks for, and whether it does so again and again until the quota."""
    if STDIN in map(str, options.predict):
        raise bad_input("--predict: standard input is read by triveni predict alone; give a file")
    if options.predict:
        return options.predict, False
    digits = options.manifest.parent / options.manifest.stem / "digits.npz"
    if options.keep_serving or not digits.is_file():
        return (), False
    return (digits,), manifest.secure_model.spec.request_quota is not None


def _companions(files: Sequence[Path], *, until_quota: bool, ends_run: bool) -> Sequence[Companion]:
    if not files:
        return ()
    names = [str(file.absolute()) for file in files]

    def client(connection: Path, model: Path) -> Sequence[str]:
        options = ["--json", "--timeout", str(CLIENT_TIMEOUT_S), *(["--until-quota"] if until_quota else [])]
        return [sys.executable, "-m", "triveni.cli", "predict", "--connection", str(connection), *options, *names]

    def keras(connection: Path, model: Path) -> Sequence[str]:
        return [sys.executable, "-m", "triveni.cli.plain", str(model), *names]

    return (
        Companion(CLIENT, client, ends_run=ends_run),
        Companion(KERAS, keras, seconds=180.0, loads_model=True),
    )


def _view(manifest: Manifest, rows: Sequence[Row], *, compare: bool) -> RunView:
    """The view for people, after a first line."""
    console = screen()
    spec = manifest.secure_model.spec
    quota = "no request quota" if spec.request_quota is None else f"request quota {spec.request_quota}"
    name = manifest.secure_model.metadata.name
    console.print(f"Triveni {__version__} serves '{name}' on this machine: {spec.protocol}, {quota}")
    if manifest.ignored:
        console.print(f"Not used here: {', '.join(manifest.ignored)}")
    return RunView(console, rows, compare=compare)
