"""The model that a command is given: a model file, or a manifest with its model. Looked at, never executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triveni.api.manifest import Manifest, OnServer, TwoFiles, read_manifest
from triveni.cli.errors import bad_input
from triveni.sharing.content import Content, read_file
from triveni.sharing.keras_file import KerasModel, parse_model, parse_pair, read_model

YAML = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class Given:
    """A model that was read; `manifest` None if it came as a file of its own."""

    keras: KerasModel
    manifest: Manifest | None

    @property
    def weights(self) -> int:
        """How many numbers are secret."""
        return sum(array.size for arrays in self.keras.weights.values() for array in arrays)


def read(path: Path) -> Given:
    """Read a model, as the sharing job would.

    Raises:
        InvalidManifest: the manifest is not one.
        CommandFailed: the model has to be fetched.
        SharingFailure: the model is refused, or there is none.
    """
    manifest = read_manifest(path) if path.suffix.lower() in YAML else None
    if manifest is None:
        return Given(read_model(path), None)
    digest = manifest.secure_model.spec.model.digest
    match manifest.model:
        case Path() as file:
            return Given(read_model(file, digest), manifest)
        case bytes() as data:
            content = Content(str(path))
            content.add(data)
            return Given(parse_model(content.checked(digest), str(path)), manifest)
        case TwoFiles(layers, weights):
            first, second = (read_file(file).checked(None) for file in (layers, weights))
            return Given(parse_pair(first, second, str(layers), str(weights)), manifest)
        case OnServer():
            (kind,) = manifest.secure_model.spec.model.source.model_dump(exclude_none=True)
            raise bad_input(
                f"spec.model.source.{kind}: is not fetched by check; check the file itself: triveni check MODEL"
            )
