"""The reference of the Python packages that people import: read from the source, nothing of it is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import griffe

from docs.generate.markdown import code, document, plain, table

OPERATOR = Path(__file__).parents[2] / "operator"

PACKAGES = ("triveni.keras", "triveni.client", "triveni.client.cluster")

QUIET = {"warn_unknown_params": False, "warn_missing_types": False}
"""Two that are described together (`namespace, name: ...`) are no parameter of that name."""

INTRO = """# Python

What is meant to be imported, from the docstrings. Everything else may change without a word."""


def page() -> str:
    """The whole page."""
    loader = griffe.GriffeLoader(
        search_paths=[OPERATOR], docstring_parser=griffe.Parser.google, docstring_options=QUIET
    )
    package = loader.load("triveni")
    loader.resolve_aliases()
    return document(INTRO, *(block for name in PACKAGES for block in _module(package[name.removeprefix("triveni.")])))


def _module(module: Any) -> Iterator[str]:
    yield f"## `{module.path}` {{#{module.path}}}"
    yield from _sections(module)
    names = [str(name) for name in module.exports or ()]
    members = [module.members[name] for name in names]
    members = [member.final_target if member.is_alias else member for member in members]
    for member in sorted((m for m in members if m.is_class and not _is_error(m)), key=lambda m: _rank(m.name)):
        yield from _class(module, member)
    for member in (m for m in members if m.is_function):
        yield f"### `{member.name}` {{#{module.path}.{member.name}}}"
        yield f"```python\n{_signature(member)}\n```"
        yield from _sections(member)
    errors = [member for member in members if member.is_class and _is_error(member)]
    if errors:
        yield f"### Errors of `{module.path}` {{#{module.path}.errors}}"
        yield table(("error", "is a", "fields", "meaning"), (_error(error) for error in errors))


def _rank(name: str) -> tuple[bool, str]:
    """The synchronous first: most people need no more."""
    return name.startswith("Async"), name


def _is_error(member: Any) -> bool:
    return any(str(base).endswith(("Error", "Exception")) for base in member.bases)


def _error(error: Any) -> tuple[str, str, str, str]:
    bases = ", ".join(code(str(base)) for base in error.bases)
    fields = ", ".join(code(name) for name, member in error.members.items() if member.is_attribute)
    return code(error.name), bases, fields, plain(_text(error)).replace("\n", " ")


def _class(module: Any, member: Any) -> Iterator[str]:
    anchor = f"{module.path}.{member.name}"
    yield f"### `{member.name}` {{#{anchor}}}"
    yield f"```python\n{_signature(member)}\n```"
    yield from _sections(member)
    for method in member.members.values():
        if method.is_function and not method.name.startswith("_") and method.docstring:
            yield f"#### `{member.name}.{method.name}` {{#{anchor}.{method.name}}}"
            yield f"```python\n{_signature(method)}\n```"
            yield from _sections(method)


def _signature(member: Any) -> str:
    parameters = [p for p in member.parameters if p.name not in ("self", "cls")]
    words: list[str] = []
    for parameter in parameters:
        if parameter.kind is griffe.ParameterKind.keyword_only and "*" not in words:
            words.append("*")
        star = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(
            parameter.kind, ""
        )
        annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
        default = f" = {parameter.default}" if parameter.default is not None and not star else ""
        words.append(f"{star}{parameter.name}{annotation}{default}")
    is_async = "async " if "async" in member.labels else ""
    returns = f" -> {member.returns}" if member.is_function and member.returns is not None else ""
    one_line = f"{is_async}{member.name}({', '.join(words)}){returns}"
    if len(one_line) <= 88:
        return one_line
    return f"{is_async}{member.name}(\n" + "".join(f"    {word},\n" for word in words) + f"){returns}"


def _text(member: Any) -> str:
    parsed = member.docstring.parsed if member.docstring else []
    return "\n\n".join(str(section.value) for section in parsed if section.kind is griffe.DocstringSectionKind.text)


def _sections(member: Any) -> Iterator[str]:
    for section in member.docstring.parsed if member.docstring else ():
        match section.kind:
            case griffe.DocstringSectionKind.text:
                yield _prose(section.value)
            case griffe.DocstringSectionKind.parameters | griffe.DocstringSectionKind.attributes:
                yield _rows(section.kind.value.removesuffix("s"), map(_named, section.value))
            case griffe.DocstringSectionKind.raises:
                yield _rows("raises", ((str(item.annotation).strip("()"), item.description) for item in section.value))
            case griffe.DocstringSectionKind.examples:
                text = "\n\n".join(text for _, text in section.value)
                yield f"```pycon\n{text}\n```"
            case griffe.DocstringSectionKind.returns | griffe.DocstringSectionKind.yields:
                yield "**Returns** " + " ".join(_words(str(item.description)) for item in section.value)
            case _:
                raise SystemExit(f"{member.path}: a section {section.kind.value} is not rendered here")


def _named(item: Any) -> tuple[str, str]:
    """Name and meaning; two that are described together (`namespace, uid: ...`) are read as a name and its type."""
    both = item.name.endswith(",")
    return f"{item.name} {item.annotation}" if both else item.name, item.description


def _prose(text: str) -> str:
    """A docstring's paragraphs: those that are indented are code, the others may hold names in backquotes."""
    paragraphs: Sequence[str] = text.split("\n\n")
    return "\n\n".join(p if p.startswith("    ") else _words(p) for p in paragraphs)


def _words(text: str) -> str:
    """Text with code in it: markup characters are escaped outside of the backquotes, double ones are single."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if index % 2 else plain(part) for index, part in enumerate(parts))


def _rows(head: str, rows: Iterable[tuple[str, str]]) -> str:
    return table((head, "meaning"), ((code(name), _words(" ".join(text.split()))) for name, text in rows))
