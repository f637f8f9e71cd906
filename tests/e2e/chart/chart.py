"""The chart, rendered by helm without a cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[3] / "charts" / "triveni"
KUBERNETES = "1.29.0"
"""The oldest that the chart is made for."""

Object = dict[str, Any]


@dataclass(eq=False)
class HelmFailed(Exception):
    """helm said no."""

    command: tuple[str, ...]
    said: str

    def __str__(self) -> str:
        return f"{' '.join(self.command)}: {self.said}"


@dataclass(frozen=True)
class Helm:
    """The command, and a directory for what it writes: it sees nothing of the person's own settings."""

    binary: Path
    home: Path

    def __call__(self, *arguments: str | Path) -> str:
        command = tuple(map(str, arguments))
        environment = {"HOME": str(self.home), "PATH": "", "KUBECONFIG": str(self.home / "none")}
        done = subprocess.run(
            (str(self.binary), *command), capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        if done.returncode:
            raise HelmFailed(command, done.stderr + done.stdout)
        return done.stdout

    def template(self, values: Mapping[str, Any] | None = None, *more: str | Path, chart: Path = CHART) -> str:
        """The text of all templates for a release `triveni` in the namespace triveni-system."""
        file = self.home / "values.json"
        file.write_text(json.dumps(dict(values or {})))
        where = ("--namespace", "triveni-system", "--kube-version", KUBERNETES)
        return self("template", "triveni", chart, *where, "--values", file, *more)

    def objects(self, values: Mapping[str, Any] | None = None, *more: str | Path) -> list[Object]:
        """The same as objects."""
        return [document for document in yaml.safe_load_all(self.template(values, *more)) if document]

    def notes(self, values: Mapping[str, Any] | None = None) -> str:
        """What is shown after an installation, which helm would only say to a cluster."""
        copy = self.home / "chart"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(CHART, copy)
        templates = copy / "templates"
        text = (templates / "NOTES.txt").read_text()
        (templates / "NOTES.txt").unlink()
        wrapped = '{{- define "notes" }}' + text + '{{ end }}\nnotes: {{ include "notes" . | toJson }}\n'
        (templates / "notes.yaml").write_text(wrapped)
        shown = yaml.safe_load(self.template(values, "--show-only", "templates/notes.yaml", chart=copy))
        return str(shown["notes"])


def one(objects: list[Object], kind: str, name: str, namespace: str | None = None) -> Object:
    """The one object of this kind and name."""
    found = [
        item
        for item in objects
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
        and namespace in (None, item["metadata"].get("namespace"))
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]
