"""SecureModels in one namespace, as a user sees them: applied, looked at, asked for predictions."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tests.e2e.cluster.places import PROJECT
from tests.e2e.tools import Kubectl
from tests.e2e.waiting import eventually

READY_S = 180
"""Seconds from `kubectl apply` to Ready, at most: it takes about 15 where nothing else runs."""

KINDS = "pods,jobs,services,secrets,networkpolicies,poddisruptionbudgets"

DIGITS = tuple(sorted((PROJECT / "examples/mnist/digits").glob("*.png")))

EXAMPLE = PROJECT / "examples/mnist.yaml"


def mnist(name: str = "mnist", **spec: Any) -> list[dict[str, Any]]:
    """The documents of the example, the SecureModel with another name and with some fields of its spec changed."""
    model, data = copy.deepcopy(list(yaml.safe_load_all(EXAMPLE.read_text())))
    model["metadata"]["name"] = name
    model["spec"] |= spec
    return [model, data]


@dataclass(frozen=True)
class Models:
    """The SecureModels of the namespace that `kubectl` works in."""

    kubectl: Kubectl

    def apply(self, documents: Sequence[dict[str, Any]]) -> None:
        """`kubectl apply`."""
        self.kubectl.apply(*documents)

    def patch(self, name: str = "mnist", **spec: Any) -> None:
        """Change fields of the spec."""
        self.kubectl("patch", "securemodel", name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def status(self, name: str = "mnist") -> dict[str, Any]:
        """The status, empty if there is none yet."""
        status: dict[str, Any] = self.kubectl.get("securemodel", name).get("status", {})
        return status

    def condition(self, kind: str, name: str = "mnist") -> dict[str, str]:
        """A condition; empty if it is not there yet."""
        conditions: list[dict[str, str]] = self.status(name).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def until(
        self,
        kind: str,
        status: str = "True",
        reason: str | None = None,
        *,
        name: str = "mnist",
        seconds: float = READY_S,
    ) -> dict[str, str]:
        """Wait for a condition; it is returned."""

        def holds() -> dict[str, str] | None:
            found = self.condition(kind, name)
            assert (found.get("status"), reason or found.get("reason")) == (status, found.get("reason")), found
            return found

        found = eventually(holds, seconds, f"SecureModel {name} has {kind}={status} {reason or ''}")
        assert found
        return found

    def until_ready(self, name: str = "mnist", epoch: int = 1, seconds: float = READY_S) -> dict[str, Any]:
        """Wait until it serves as its spec is now, in this epoch or a later one; its status."""

        def serves() -> dict[str, Any]:
            model = self.kubectl.get("securemodel", name)
            status: dict[str, Any] = model.get("status", {})
            assert status.get("observedGeneration") == model["metadata"]["generation"], "its spec has not been seen"
            ready = [c for c in status.get("conditions", []) if c["type"] == "Ready"]
            assert ready, "no conditions yet"
            assert (ready[0]["status"], status["epoch"]["number"] >= epoch) == ("True", True), ready
            return status

        return eventually(serves, seconds, f"SecureModel {name} serves in epoch {epoch}")

    def predict(self, name: str = "mnist", images: Sequence[Path] = DIGITS[:3]) -> list[NDArray[np.float64]]:
        """`triveni predict`, from outside the cluster; AssertionError with its words if it fails."""
        done = self.try_to_predict(name, images)
        assert done.returncode == 0, done.stderr
        return [np.array(json.loads(line)["answer"]).ravel() for line in done.stdout.splitlines()]

    def try_to_predict(
        self, name: str = "mnist", images: Sequence[Path] = DIGITS[:1], timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """The same, whatever comes of it."""
        where = [f"--kubeconfig={self.kubectl.kubeconfig}", f"--namespace={self.kubectl.namespace}"]
        command = [sys.executable, "-m", "triveni.cli", "predict", *where, "--json", f"--timeout={timeout}", name]
        return subprocess.run(
            [*command, *map(str, images)], capture_output=True, text=True, timeout=timeout + 60, check=False
        )

    def objects(self, name: str | None = None) -> set[str]:
        """`Kind/name` of everything that the operator made, for one SecureModel or for all."""
        selector = "app.kubernetes.io/managed-by=triveni-operator" + (f",triveni.dev/model={name}" if name else "")
        found = self.kubectl.get(KINDS, f"--selector={selector}")
        return {f"{item['kind']}/{item['metadata']['name']}" for item in found}

    def until_gone(self, name: str | None = None, seconds: float = 120) -> None:
        """Wait until nothing that the operator made is left."""
        eventually(lambda: not self.objects(name), seconds, "everything is gone")

    def pods(self, component: str = "worker") -> list[dict[str, Any]]:
        """The pods of a component."""
        pods: list[dict[str, Any]] = self.kubectl.get("pods", f"--selector=app.kubernetes.io/component={component}")
        return pods


def plain_answers(images: Sequence[Path] = DIGITS[:3]) -> NDArray[np.float64]:
    """What plain Keras answers to some of `DIGITS`."""
    return _all_plain_answers()[[DIGITS.index(image) for image in images]]


@cache
def _all_plain_answers() -> NDArray[np.float64]:
    """In a process of its own, once."""
    script = (
        "import sys, json, numpy as np, keras\n"
        "from triveni.cli.inputs import read_rows\n"
        "from pathlib import Path\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "images = read_rows([Path(p) for p in sys.argv[2:]], (28, 28, 1))\n"
        "rows = np.stack([np.asarray(i.values).reshape(28, 28, 1) for i in images])\n"
        "print(json.dumps(model.predict(rows, verbose=0).tolist()))\n"
    )
    command = [sys.executable, "-c", script, str(PROJECT / "examples/mnist/model.keras"), *map(str, DIGITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    return np.array(json.loads(done.stdout.splitlines()[-1]))
