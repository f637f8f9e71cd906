"""The manifest: the YAML file that `kubectl apply` takes, read for use on one machine.

One file, one or more documents: exactly one SecureModel and, in the same file, the ConfigMap or Secret that carries its
model, or the path of a model file. A model that has to be fetched is fetched only in a cluster. Nothing in the file is
executed, and it is bounded in size. What a cluster would do with its other objects is not done here; they are listed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from triveni.api.model_source import ConfigMapSource, FileSource, SecretSource
from triveni.api.problems import Problem, problems_of, shown
from triveni.api.securemodel import API_GROUP, API_VERSION, KIND, SecureModel

MAX_BYTES = 16 * 2**20
"""Of a manifest: far more than a cluster would take (about 1.5 MB an object)."""

Document = Mapping[Any, Any]


@dataclass(eq=False)
class InvalidManifest(Exception):
    """A manifest that cannot be used, with everything that is wrong with it."""

    path: Path
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.path}: {problem}" for problem in self.problems)


@dataclass(frozen=True)
class Manifest:
    """A SecureModel and its model file, as bytes from the manifest or as a path beside it.

    `ignored` names the objects of the file that a run on one machine has no use for.
    """

    path: Path
    secure_model: SecureModel
    model: bytes | Path = field(repr=False)
    ignored: tuple[str, ...] = ()


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        InvalidManifest: the file cannot be read, is no YAML, or does not describe one servable model.
    """
    documents = _documents(path, _text(path))
    ours = [d for d in documents if d.get("kind") == KIND or str(d.get("apiVersion")).startswith(API_GROUP)]
    if not ours:
        kinds = ", ".join(_title(document) for document in documents) or "nothing"
        _fail(path, "the file", f"holds no SecureModel, only {kinds}", f"add one (apiVersion: {API_VERSION})")
    if len(ours) > 1:
        names = ", ".join(_title(document) for document in ours)
        _fail(path, "the file", f"holds {len(ours)} SecureModels: {names}", "give each a file of its own")
    try:
        secure_model = SecureModel.read(ours[0])
    except ValidationError as error:
        raise InvalidManifest(path, problems_of(error)) from None
    used, model = _model(path, secure_model, documents)
    rest = (d for d in documents if d is not ours[0] and d is not used)
    return Manifest(path, secure_model, model, tuple(_title(d) for d in rest))


@dataclass(eq=False)
class DigestMismatch(Exception):
    """A model file is not the one that the manifest names."""

    expected: str
    got: str

    def __str__(self) -> str:
        return (
            f"spec.model.digest is {self.expected}, but the model in the manifest has {self.got}; "
            "put in the right model, or correct the digest"
        )


def check_digest(model: bytes, expected: str | None) -> None:
    """Check the bytes of a model file against `spec.model.digest`; None accepts any.

    Raises:
        DigestMismatch: it is another file.
    """
    got = f"sha256:{hashlib.sha256(model).hexdigest()}"
    if expected is not None and got != expected:
        raise DigestMismatch(expected, got)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain data only, and no key given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key '{key.value}' a second time"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        _fail(path, "the file", "does not exist", "give the path of a manifest, such as examples/mnist.yaml")
    except OSError as error:
        _fail(path, "the file", f"cannot be read ({error.strerror})", "give the path of a readable manifest")
    if len(data) > MAX_BYTES:
        _fail(path, "the file", f"is larger than {MAX_BYTES >> 20} MiB", "name the model by source.file instead")
    return data


def _documents(path: Path, text: bytes) -> list[Document]:
    try:
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.AliasEvent):  # a few lines of them can stand for gigabytes
                mark: Any = event.start_mark  # the C parser has a type of its own for it
                raise yaml.MarkedYAMLError(problem=f"the alias *{event.anchor}", problem_mark=mark)
        documents = [d for d in yaml.load_all(text, _Loader) if d is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}" if mark else "the file"
        _fail(path, where, f"cannot be read as YAML: {error.problem}", "mend that line")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:120]
        _fail(path, "the file", f"cannot be read as YAML: {what}", "is it a manifest?")
    for number, document in enumerate(documents, 1):
        if not isinstance(document, dict):
            _fail(path, f"document {number}", f"{shown(document)} is not an object", "is it a manifest?")
    return documents


def _model(
    path: Path, secure_model: SecureModel, documents: Iterable[Document]
) -> tuple[Document | None, bytes | Path]:
    """The object that carries the model, if one does, and the model."""
    match secure_model.spec.model.source.place:
        case FileSource(path=relative):
            file = path.parent / relative
            if not file.is_file():
                way_out = "give the path of a .keras file, relative to the manifest"
                _fail(path, "spec.model.source.file.path", f"there is no file '{relative}'", way_out)
            return None, file
        case ConfigMapSource(name=name, key=key):
            return _carried(path, secure_model, documents, "ConfigMap", "configMap", name, "binaryData", key)
        case SecretSource(name=name, key=key):
            return _carried(path, secure_model, documents, "Secret", "secret", name, "data", key)
    (kind,) = secure_model.spec.model.source.model_dump(exclude_none=True)
    way_out = "for a run on this machine, write source.file with the path of a .keras file"
    raise InvalidManifest(path, (Problem(f"spec.model.source.{kind}", "is read only in a cluster", way_out),))


def _carried(
    path: Path,
    secure_model: SecureModel,
    documents: Iterable[Document],
    kind: str,
    source: str,
    name: str,
    section: str,
    key: str,
) -> tuple[Document, bytes]:
    at = f"spec.model.source.{source}"
    namespace = secure_model.metadata.namespace
    for document in documents:
        if document.get("kind") == kind and _metadata(document) == (namespace, name):
            break
    else:
        others = ", ".join(_title(d) for d in documents if d.get("kind") == kind) or f"no {kind}"
        what = f"the file holds no {kind} '{name}' in namespace {namespace}, only {others}"
        if others == f"no {kind}":
            what = f"the file holds no {kind}"
        _fail(path, f"{at}.name", what, f"put the {kind} '{name}' into the same file")
    values = document.get(section)
    values = values if isinstance(values, dict) else {}
    if key not in values:
        held = ", ".join(map(str, values)) or "nothing"
        _fail(path, f"{at}.key", f"{kind} '{name}' holds no '{key}' in {section}, only {held}", "name a key it holds")
    text = values[key]
    try:
        return document, base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError, AttributeError):
        way_out = f"let kubectl create {kind.lower()} {name} --from-file={key} --dry-run=client -o yaml write it"
        _fail(path, f"{kind} '{name}' {section}.{key}", "is not base64", way_out)


def _metadata(document: Document) -> tuple[str, str]:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace", "default")), str(metadata.get("name", ""))


def _title(document: Document) -> str:
    return f"{document.get('kind', 'an object without a kind')} '{_metadata(document)[1]}'"


def _fail(path: Path, field_: str, what: str, way_out: str) -> NoReturn:
    raise InvalidManifest(path, (Problem(field_, what, way_out),))
