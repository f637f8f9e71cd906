"""`triveni manifest`: writes the SecureModel for a model file, ready for kubectl apply and for `triveni run`."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from triveni.api.names import MAX_NAME
from triveni.api.problems import problems_of
from triveni.api.securemodel import API_VERSION, KIND, SecureModel
from triveni.cli.errors import CommandFailed, bad_input
from triveni.cli.model_file import YAML, read
from triveni.mpc.input_range import InputRange
from triveni.sharing.shares import split_model

MOST_INLINE = 2**20
"""Bytes of data that Kubernetes takes in a ConfigMap or a Secret."""

MOST_APPLIED = 2**18
"""Bytes of an object that kubectl apply remembers in an annotation; more needs --server-side."""

OPTIONS: Mapping[str, str] = {
    "metadata.name": "--name",
    "metadata.namespace": "--namespace",
    "spec.requestQuota": "--quota",
    "spec.protocol": "--protocol",
    "spec.answer.fractionalBits": "--answer-bits",
    "spec": "--input-range",
    "spec.model.inputRange.min": "--input-range",
    "spec.model.inputRange.max": "--input-range",
    "spec.model.source.http.url": "--url",
    "spec.model.source.persistentVolumeClaim.claimName": "--claim",
    "spec.model.source.persistentVolumeClaim": "--claim",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. At most one of `secret`, `url`, `claim` and `file`; else a ConfigMap carries it."""

    model: Path
    name: str | None = None
    namespace: str | None = None
    quota: int | None = None
    protocol: str = "ABY3"
    answer_bits: int | None = None
    secret: bool = False
    url: str | None = None
    claim: str | None = None
    file: bool = False
    output: Path | None = None
    inputs: InputRange | None = None
    """What all inputs are within; None if that is not known."""


def manifest(options: Options) -> None:
    """Write it.

    Raises:
        CommandFailed: an option cannot be used, or the model has no room in a manifest.
        SharingFailure: the model is refused.
    """
    if options.model.suffix.lower() in YAML:
        raise bad_input(f"{options.model}: is a manifest already; give a model file")
    given = read(options.model)
    text = written(options, options.model.read_bytes())
    split_model(given.keras, options.protocol, options.inputs)  # what will be refused anyway needs no manifest
    if options.output is None:
        sys.stdout.write(text)
        return
    try:
        options.output.write_text(text)
    except OSError as error:
        raise CommandFailed(f"--output: {options.output}: {error.strerror}") from None
    apply = "kubectl apply --server-side" if len(text) > MOST_APPLIED else "kubectl apply"
    sys.stderr.write(f"wrote {options.output}; next: triveni run {options.output}, or {apply} -f {options.output}\n")


def written(options: Options, content: bytes) -> str:
    """The manifest's text.

    Raises:
        CommandFailed: as `manifest`.
    """
    name = options.name or _name(options.model)
    key = f"model{options.model.suffix.lower() or '.keras'}"
    source, carrier = _source(options, name, key, content)
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name} | ({"namespace": options.namespace} if options.namespace else {}),
        "spec": {
            "model": {"source": source, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
            | ({"inputRange": options.inputs.document()} if options.inputs else {}),
            "protocol": options.protocol,
        }
        | ({} if options.quota is None else {"requestQuota": options.quota})
        | ({} if options.answer_bits is None else {"answer": {"fractionalBits": options.answer_bits}}),
    }
    try:
        SecureModel.read(document)
    except ValidationError as error:
        problems = problems_of(error)
        raise bad_input(
            "\n".join(f"{OPTIONS.get(p.field, p.field)}: {p.what}; {p.way_out}" for p in problems)
        ) from None
    text = yaml.safe_dump(document, sort_keys=False)
    if carrier:
        text += f"---\n{_carrier(carrier, document['metadata'], f'{name}-model', key, content)}"
    if len(text) > MOST_APPLIED:
        text = "# Larger than kubectl apply remembers in an annotation: kubectl apply --server-side -f FILE\n" + text
    return text


def _source(options: Options, name: str, key: str, content: bytes) -> tuple[dict[str, Any], str]:
    """`spec.model.source`, and the kind of object that carries the model, if one does."""
    given = [
        option
        for option, value in (
            ("--secret", options.secret),
            ("--url", options.url),
            ("--claim", options.claim),
            ("--file", options.file),
        )
        if value
    ]
    if len(given) > 1:
        raise bad_input(f"{given[0]}: not with {given[1]}; a model has one source")
    if options.url:
        return {"http": {"url": options.url}}, ""
    if options.claim:
        claim, _, path = options.claim.partition("/")
        return {"persistentVolumeClaim": {"claimName": claim, "path": path}}, ""
    if options.file:
        beside = options.output.parent if options.output else Path()
        return {"file": {"path": os.path.relpath(options.model, beside)}}, ""
    if len(content) > MOST_INLINE:
        raise bad_input(
            f"{options.model}: {len(content) / 2**20:.1f} MiB, and a ConfigMap or Secret holds 1 MiB; put it where the "
            "sharing job can fetch it, and say where: --url https://HOST/PATH, or --claim CLAIM/PATH for a volume "
            "(spec.model.source.s3 is written by hand); --file is for triveni run alone"
        )
    return {("secret" if options.secret else "configMap"): {"name": f"{name}-model", "key": key}}, (
        "Secret" if options.secret else "ConfigMap"
    )


def _carrier(kind: str, metadata: Mapping[str, Any], name: str, key: str, content: bytes) -> str:
    """The object that carries the model. Written by hand: a YAML writer would break the lines elsewhere."""
    head = yaml.safe_dump({"apiVersion": "v1", "kind": kind, "metadata": {**metadata, "name": name}}, sort_keys=False)
    lines = textwrap.wrap(base64.b64encode(content).decode(), 116)
    section = "data" if kind == "Secret" else "binaryData"
    return f"{head}{section}:\n  {key}: |\n" + "".join(f"    {line}\n" for line in lines)


def _name(model: Path) -> str:
    """A name from that of the file, or of its folder where the file is called as all are."""
    stem = model.absolute().parent.name if model.stem.lower() == "model" else model.stem
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    name = name if name[:1].isalpha() else f"model-{name}"
    return name[:MAX_NAME].strip("-")
