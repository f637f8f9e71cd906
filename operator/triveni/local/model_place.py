"""Where the sharing process gets the model from: what stands in the manifest as files of the run directory.

A model on a server is fetched by the sharing process with the very arguments that it has in a cluster; what a cluster
would mount for it (authorities, keys for a store) is written into the run directory instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triveni.api.manifest import Manifest, OnServer, TwoFiles, check_digest
from triveni.api.model_source import S3Source
from triveni.api.securemodel import SecureModel
from triveni.controller.objects import places
from triveni.controller.objects.source import UnusableSource, supply
from triveni.local.directory import RunDirectory

ENVIRONMENT: Mapping[str, str] = {
    "accessKeyId": "AWS_ACCESS_KEY_ID",
    "secretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "sessionToken": "AWS_SESSION_TOKEN",
}
"""Where the keys for a store are if the manifest does not hold them, as every tool for S3 has it."""

KERAS_START = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where the model is.

    Attributes:
        arguments: tell it to the sharing process.
        plain: a file that plain Keras may load for comparison, if there is one. An HDF5 file is none: Keras runs code
            that stands in it.
        fetched: whether the sharing process fetches it from a server.
    """

    arguments: Sequence[str]
    plain: Path | None = None
    fetched: bool = False


@dataclass(eq=False)
class Unusable(Exception):
    """The model cannot be given to the sharing process, and trying again would change nothing."""

    field: str
    problem: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}; {self.way_out}"


def place_model(manifest: Manifest, directory: RunDirectory, environment: Mapping[str, str]) -> ModelPlace:
    """Make everything ready that the sharing process needs to read the model of `manifest`.

    Args:
        environment: variables of this process.

    Raises:
        Unusable: it cannot be read in a run on this machine.
        DigestMismatch: the manifest carries another model than it says.
    """
    model, digest = manifest.model, manifest.secure_model.spec.model.digest
    match model:
        case Path():
            return _file(model.absolute())
        case TwoFiles(layers, weights):
            if digest:
                way_out = "put the two into one zip and give that, or leave the digest out"
                raise Unusable("spec.model.digest", "is that of one file, and the model is given as two", way_out)
            return ModelPlace(("--model", str(layers.absolute()), "--weights", str(weights.absolute())))
        case OnServer():
            return _fetched(manifest.secure_model, model, directory, environment)
        case _:
            check_digest(model, digest)
            _write(directory.model, model)
            return _file(directory.model)


def _file(path: Path) -> ModelPlace:
    try:
        with path.open("rb") as file:
            keras = file.read(len(KERAS_START)) == KERAS_START
    except OSError:  # the sharing process says what is wrong with it
        keras = False
    return ModelPlace(("--model", str(path)), path if keras else None)


def _fetched(
    secure_model: SecureModel, model: OnServer, directory: RunDirectory, environment: Mapping[str, str]
) -> ModelPlace:
    try:
        supplied = supply(secure_model)
    except UnusableSource as error:
        raise Unusable(error.field, f"'{error.value}' cannot be fetched", error.way_out) from None
    assert supplied is not None, "a source on a server is the sharing job's to fetch"
    arguments = [f"--model-source={supplied.words}", *supplied.arguments]
    folders = {places.SOURCE_AUTHORITIES: model.authorities, places.SOURCE_CREDENTIALS: _keys(model, environment)}
    for mount in supplied.mounts:
        folder = directory.path / mount.name
        folder.mkdir(mode=0o700)
        for name, content in folders[mount.directory].items():
            _write(folder / name, content)
        arguments = [_moved(argument, mount.directory, folder) for argument in arguments]
    return ModelPlace(tuple(arguments), fetched=True)


def _moved(argument: str, directory: str, folder: Path) -> str:
    """An argument that names a mounted file or its directory, naming the one of the run instead."""
    option, _, value = argument.partition("=")
    if option in ("--ca-bundle", "--s3-credentials") and Path(value).is_relative_to(directory):
        return f"{option}={folder / Path(value).relative_to(directory)}"
    return argument


def _keys(model: OnServer, environment: Mapping[str, str]) -> Mapping[str, bytes]:
    """The keys for a store: those of the Secret in the manifest, else those of the environment."""
    if not isinstance(model.source, S3Source):
        return {}
    if model.keys is not None:
        return model.keys
    found = {key: environment[name].encode() for key, name in ENVIRONMENT.items() if environment.get(name)}
    if not {"accessKeyId", "secretAccessKey"} <= found.keys():
        secret = model.source.credentials_secret.name
        raise Unusable(
            "spec.model.source.s3.credentialsSecret",
            f"the manifest holds no Secret '{secret}', and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
            "put the Secret into the same file, set the two, or give the model file itself with --model FILE",
        )
    return found


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
