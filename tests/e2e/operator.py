"""The operator as a release of the chart: installed, upgraded, killed, read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.cluster.places import PROJECT
from tests.e2e.tools import Helm, Kubectl, ToolFailed, written
from tests.e2e.waiting import eventually

NAMESPACE = "triveni"

CHART = PROJECT / "charts/triveni"

IMAGES = (
    "image.repository=localhost/triveni-operator,image.tag=dev,image.pullPolicy=Never,"
    "workerImage.repository=localhost/triveni-worker,workerImage.tag=dev,workerImage.pullPolicy=Never"
)

PODS = "--selector=app.kubernetes.io/name=triveni,app.kubernetes.io/component=operator"

DEPLOYMENT = "deployment/triveni-operator"

METRICS_PORT = 8081


class Operator:
    """The one release of the chart in the test cluster."""

    def __init__(self, kubectl: Kubectl, helm: Helm) -> None:
        self.kubectl, self.helm = kubectl.within(NAMESPACE), helm.within(NAMESPACE)
        self._of_the_dead: list[str] = []

    def install(self, *values: str) -> None:
        """`helm upgrade --install` with two replicas, until it is ready."""
        options = [f"--set={value}" for value in (IMAGES, "replicas=2", *values)]
        self.helm("upgrade", "--install", "triveni", CHART, "--create-namespace", "--wait", "--timeout=120s", *options)

    def uninstall(self) -> None:
        """`helm uninstall`, if it is installed; SecureModels stay."""
        with suppress(ToolFailed):
            self.helm("uninstall", "triveni", "--wait", "--timeout=120s")

    def scale(self, replicas: int) -> None:
        """Have that many replicas, and wait until they are there, or gone."""
        self.kubectl("scale", DEPLOYMENT, f"--replicas={replicas}")
        if replicas:
            self.kubectl("rollout", "status", DEPLOYMENT, "--timeout=120s")
        else:
            self.kubectl("wait", "pods", PODS, "--for=delete", "--timeout=120s")

    @contextmanager
    def away(self) -> Iterator[None]:
        """No replica runs while the block lasts."""
        with self.heard_out():
            self.scale(0)
        try:
            yield
        finally:
            self.scale(2)

    @contextmanager
    def heard_out(self) -> Iterator[None]:
        """Pods that end within this block are heard to their last word; `log` has it later."""
        with ExitStack() as stack:
            for pod in self.pods():
                stack.enter_context(self._followed(pod))
            yield

    @contextmanager
    def _followed(self, pod: str) -> Iterator[None]:
        with (
            tempfile.TemporaryFile("w+") as heard,
            self.kubectl.running("logs", pod, "--follow", output=heard) as process,
        ):
            yield
            if pod in self.pods():
                return
            process.wait(30)
            self._of_the_dead += written(heard).splitlines()

    def pods(self) -> list[str]:
        """The names of its pods that are not ending."""
        found = self.kubectl.get("pods", PODS)
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def metrics(self, pod: str) -> dict[str, float]:
        """What a replica counts: the series without labels, by their names."""
        with (
            self.kubectl.port_forward(f"pod/{pod}", METRICS_PORT) as port,
            urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
        ):
            families = text_string_to_metric_families(answer.read().decode())
            return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}

    def leader(self) -> str:
        """The pod that acts; empty if none does, also while the Lease of one that is gone still holds."""
        holder = self.kubectl.get("lease", "triveni-operator")["spec"].get("holderIdentity") or ""
        pod = str(holder.partition("_")[0])
        return pod if pod in self.pods() else ""

    def until_led(self) -> str:
        """Wait until one of the pods acts; its name."""
        return eventually(self.leader, 30, "one replica leads")

    def crashed(self) -> list[str]:
        """Replicas that have failed; one that lost its Lease, on a machine that was too busy, has done as it should."""
        ended = {
            pod["metadata"]["name"]: container["lastState"].get("terminated", {}).get("exitCode", 0)
            for pod in self.kubectl.get("pods", PODS)
            for container in pod["status"].get("containerStatuses", [])
        }
        failed = [pod for pod, status in ended.items() if status == 1]
        # Its last lines, not the last alone: Python may complain of what was open when it stopped.
        return [
            pod for pod in failed if "could not be renewed" not in self.kubectl("logs", pod, "--previous", "--tail=5")
        ]

    def log(self) -> list[str]:
        """The lines that all replicas have logged, those of the dead (see `heard_out`) and of past containers first."""
        lines = list(self._of_the_dead)
        for pod in self.pods():
            for previous in (["--previous"], []):
                with suppress(ToolFailed):
                    lines += self.kubectl("logs", pod, *previous).splitlines()
        return lines

    def must_not_have_stumbled(self) -> None:
        """No traceback, and nothing that it had no right to."""
        must_not_have_stumbled(self.log())


def must_not_have_stumbled(log: Iterable[str]) -> None:
    """The log of an operator has no traceback, and tells of nothing that it had no right to."""
    stumbled = [line for line in log if '"traceback"' in line or "Traceback" in line or ": 403 " in line]
    assert not stumbled, "\n".join(stumbled[:20])
