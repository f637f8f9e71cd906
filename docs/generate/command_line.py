"""The reference of the command line: every command with its arguments and options, as `--help` has them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from docs.generate.markdown import code, document, plain, table
from triveni.cli.app import app
from triveni.cli.exit_codes import EXIT_CODES

INTRO = """# Command line

What `--help` says, command by command."""

KIND = re.compile(r" <[^>]*>$")
"""The type that an argument is read as: of no use to readers."""

REQUIRED = re.compile(r" *\[required\]$")


def page() -> str:
    """The whole page."""
    command = typer.main.get_command(app)
    context = command.make_context("triveni", [], resilient_parsing=True)
    return document(INTRO, plain(command.help or ""), plain(EXIT_CODES), *_commands(command, context))


def _commands(command: Any, context: Any) -> Iterator[str]:
    """The commands below this one, depth first."""
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below.hidden:
            continue
        inner = below.context_class(below, info_name=name, parent=context)
        yield f"## `{inner.command_path}` {{#{inner.command_path.replace(' ', '-')}}}"
        if hasattr(below, "list_commands"):
            yield plain(inspect.cleandoc(below.help or ""))
            yield from _commands(below, inner)
        else:
            yield from _one(below, inner)


def _one(command: Any, context: Any) -> Iterator[str]:
    records = [(p.param_type_name, p.get_help_record(context)) for p in command.params]
    arguments = [(KIND.sub("", record[0]), record[1]) for kind, record in records if kind == "argument" and record]
    options = [record for kind, record in records if kind == "option" and record]
    usage = " ".join([context.command_path, "[OPTIONS]" if options else "", *(name for name, _ in arguments)])
    yield f"```text\n{usage}\n```"
    yield plain(inspect.cleandoc(command.help or ""))
    if arguments:
        yield table(("argument", "meaning"), ((code(name), plain(REQUIRED.sub("", text))) for name, text in arguments))
    if options:
        yield table(("option", "meaning"), ((code(KIND.sub("", names)), plain(text)) for names, text in options))
