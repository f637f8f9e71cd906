"""The operator as a release of the chart: installed, upgraded, killed, read."""

from __future__ import annotations

from contextlib import suppress

from tests.e2e.cluster.places import PROJECT
from tests.e2e.tools import Helm, Kubectl, ToolFailed

NAMESPACE = "triveni"

CHART = PROJECT / "charts/triveni"

IMAGES = (
    "image.repository=localhost/triveni-operator,image.tag=dev,image.pullPolicy=Never,"
    "workerImage.repository=localhost/triveni-worker,workerImage.tag=dev,workerImage.pullPolicy=Never"
)

PODS = "--selector=app.kubernetes.io/name=triveni,app.kubernetes.io/component=operator"


class Operator:
    """The one release of the chart in the test cluster."""

    def __init__(self, kubectl: Kubectl, helm: Helm) -> None:
        self.kubectl, self.helm = kubectl.within(NAMESPACE), helm.within(NAMESPACE)

    def install(self, *values: str) -> None:
        """`helm upgrade --install` with two replicas, until it is ready."""
        options = [f"--set={value}" for value in (IMAGES, "replicas=2", *values)]
        self.helm("upgrade", "--install", "triveni", CHART, "--create-namespace", "--wait", "--timeout=120s", *options)

    def uninstall(self) -> None:
        """`helm uninstall`, if it is installed; SecureModels stay."""
        with suppress(ToolFailed):
            self.helm("uninstall", "triveni", "--wait", "--timeout=120s")

    def pods(self) -> list[str]:
        """The names of its pods that are not ending."""
        found = self.kubectl.get("pods", PODS)
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def leader(self) -> str:
        """The pod that acts; empty if none does."""
        holder = self.kubectl.get("lease", "triveni-operator")["spec"].get("holderIdentity") or ""
        return str(holder.partition("_")[0])

    def log(self) -> list[str]:
        """The lines that all replicas have logged, those of containers before a restart first."""
        lines: list[str] = []
        for pod in self.pods():
            for previous in (["--previous"], []):
                with suppress(ToolFailed):
                    lines += self.kubectl("logs", pod, *previous).splitlines()
        return lines

    def must_not_have_stumbled(self) -> None:
        """No traceback, and nothing that it had no right to."""
        log = self.log()
        stumbled = [line for line in log if '"traceback"' in line or "Traceback" in line or ": 403 " in line]
        assert not stumbled, "\n".join(stumbled[:20])
