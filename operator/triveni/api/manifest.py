"""The manifest: the YAML file that `kubectl apply` takes, read for use on one machine.

One file, one or more documents: exactly one SecureModel and, in the same file, the ConfigMap or Secret that carries its
model, or the path of a model file, or an address with what is needed to fetch it. Nothing is fetched here, nothing in
the file is executed, and it is bounded in size. What a cluster would do with its other objects is not done here; they
are listed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from triveni.api.model_source import (
    CaBundle,
    ClaimSource,
    ConfigMapSource,
    FileSource,
    HttpSource,
    OwnerSource,
    S3Source,
    SecretSource,
)
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
class TwoFiles:
    """A model as the JSON of its layers and the HDF5 of its weights."""

    layers: Path
    weights: Path


@dataclass(frozen=True)
class OnServer:
    """A model that has to be fetched, with what the manifest holds for that.

    Attributes:
        source: where it is.
        authorities: the PEM file of `caBundle`, by its key; empty if the public ones will do.
        keys: what the Secret of `credentialsSecret` holds; None if the manifest has no such Secret.
    """

    source: HttpSource | S3Source
    authorities: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    keys: Mapping[str, bytes] | None = field(default=None, repr=False)


ModelFile = bytes | Path | TwoFiles | OnServer
"""A model: its bytes from the manifest, a file of this machine, two files of it, or where to fetch it."""


@dataclass(frozen=True)
class Manifest:
    """A SecureModel and its model.

    `ignored` names the objects of the file that a run on one machine has no use for.
    """

    path: Path
    secure_model: SecureModel
    model: ModelFile = field(repr=False)
    ignored: tuple[str, ...] = ()


def read_manifest(path: Path, instead: Path | TwoFiles | None = None) -> Manifest:
    """Read a manifest; `instead` is a model of this machine in the place of its source, which is then not looked at.

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
    used, model = ([], instead) if instead else _model(path, secure_model, documents)
    rest = (d for d in documents if d is not ours[0] and not any(d is one for one in used))
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
) -> tuple[Sequence[Document], ModelFile]:
    """The objects that the model needs, and the model."""
    namespace = secure_model.metadata.namespace
    match secure_model.spec.model.source.place:
        case FileSource(path=relative):
            file = path.parent / relative
            if not file.exists():
                way_out = "give the path of a .keras file, relative to the manifest"
                _fail(path, "spec.model.source.file.path", f"there is no file '{relative}'", way_out)
            return [], file
        case ConfigMapSource(name=name, key=key):
            found = _needed(path, documents, "configMap", "ConfigMap", namespace, name)
            return [found], _binary(path, found, "spec.model.source.configMap", "binaryData", key)
        case SecretSource(name=name, key=key):
            found = _needed(path, documents, "secret", "Secret", namespace, name)
            return [found], _binary(path, found, "spec.model.source.secret", "data", key)
        case HttpSource() as http:
            used, authorities = _authorities(path, documents, namespace, "http.caBundle", http.ca_bundle)
            return used, OnServer(http, authorities)
        case S3Source() as s3:
            used, authorities = _authorities(path, documents, namespace, "s3.caBundle", s3.ca_bundle)
            secret = _find(documents, "Secret", namespace, s3.credentials_secret.name)
            if secret is None:
                return used, OnServer(s3, authorities)
            return [*used, secret], OnServer(s3, authorities, _secret(path, secret))
        case OwnerSource():
            raise _elsewhere(path, "owner", "only its owner has the model")
        case ClaimSource():
            raise _elsewhere(path, "persistentVolumeClaim", "a volume is mounted only in a cluster")


def _elsewhere(path: Path, source: str, what: str) -> InvalidManifest:
    """The model is where this machine cannot get it from."""
    way_out = f"give the file itself: triveni run {path.name} --model FILE"
    return InvalidManifest(path, (Problem(f"spec.model.source.{source}", what, way_out),))


def _find(documents: Iterable[Document], kind: str, namespace: str, name: str) -> Document | None:
    return next((d for d in documents if d.get("kind") == kind and _metadata(d) == (namespace, name)), None)


def _needed(path: Path, documents: Iterable[Document], source: str, kind: str, namespace: str, name: str) -> Document:
    """An object that the file has to hold."""
    if (found := _find(documents, kind, namespace, name)) is not None:
        return found
    others = ", ".join(_title(d) for d in documents if d.get("kind") == kind)
    what = f"the file holds no {kind}"
    if others:
        what = f"{what} '{name}' in namespace {namespace}, only {others}"
    way_out = f"put the {kind} '{name}' into the same file, or give the model file itself with --model FILE"
    raise InvalidManifest(path, (Problem(f"spec.model.source.{source}.name", what, way_out),))


def _section(document: Document, section: str) -> Mapping[Any, Any]:
    values = document.get(section)
    return values if isinstance(values, dict) else {}


def _value(path: Path, document: Document, at: str, section: str, key: str) -> Any:
    values = _section(document, section)
    if key not in values:
        held = ", ".join(map(str, values)) or "nothing"
        _fail(
            path, f"{at}.key", f"{_title(document)} holds no '{key}' in {section}, only {held}", "name a key it holds"
        )
    return values[key]


def _binary(path: Path, document: Document, at: str, section: str, key: str) -> bytes:
    text = _value(path, document, at, section, key)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError, AttributeError):
        kind, name = str(document["kind"]), _metadata(document)[1]
        way_out = f"let kubectl create {kind.lower()} {name} --from-file={key} --dry-run=client -o yaml write it"
        _fail(path, f"{_title(document)} {section}.{key}", "is not base64", way_out)


def _authorities(
    path: Path, documents: Iterable[Document], namespace: str, source: str, bundle: CaBundle | None
) -> tuple[list[Document], Mapping[str, bytes]]:
    if bundle is None:
        return [], {}
    found = _needed(path, documents, source, "ConfigMap", namespace, bundle.name)
    text = _value(path, found, f"spec.model.source.{source}", "data", bundle.key)
    return [found], {bundle.key: str(text).encode()}


def _secret(path: Path, document: Document) -> Mapping[str, bytes]:
    """All that a Secret holds; as in a cluster, its `stringData` count more than its `data`."""
    data = {str(key): _binary(path, document, "", "data", key) for key in _section(document, "data")}
    return data | {str(key): str(value).encode() for key, value in _section(document, "stringData").items()}


def _metadata(document: Document) -> tuple[str, str]:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace", "default")), str(metadata.get("name", ""))


def _title(document: Document) -> str:
    return f"{document.get('kind', 'an object without a kind')} '{_metadata(document)[1]}'"


def _fail(path: Path, field_: str, what: str, way_out: str) -> NoReturn:
    raise InvalidManifest(path, (Problem(field_, what, way_out),))
