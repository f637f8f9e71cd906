"""The sharing job of an epoch: reads the plain model, splits it, hands each worker its share, and ends.

It is tried once. Whether a failure is worth another epoch is for the operator to decide, from the job's report.
"""

from __future__ import annotations

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import deadlines, names, places, ports
from triveni.controller.objects.names import Component
from triveni.controller.objects.owned import Object, owned
from triveni.controller.objects.pod import Resources, Settings, credentials_mount, pod_spec, without_names
from triveni.controller.objects.ports import ClusterIPs
from triveni.controller.objects.source import Supply, supply

RESOURCES = Resources(cpu="100m", memory="128Mi", memory_limit="1Gi")
"""For the tutorial's networks, where the job holds about 100 MB: no TensorFlow in it."""


def sharing_job(model: SecureModel, epoch: int, cluster_ips: ClusterIPs, settings: Settings) -> Object:
    """The Job, for a model that is not shared by its owner. Its Secret has the same name.

    Raises:
        source.UnusableSource: no job in a cluster can read the model from there.
    """
    name = names.sharing(model, epoch)
    source = supply(model)
    assert source is not None, "nobody but the owner has the model"
    container: Object = {
        "name": "sharing",
        "command": ["python", "-m", "triveni.sharing"],
        # Kubernetes would put a variable in the place of $(NAME).
        "args": [argument.replace("$", "$$") for argument in _arguments(model, source, cluster_ips)],
    }
    mounts = [credentials_mount(name), *source.mounts]
    spec = pod_spec(model, settings, container, mounts, RESOURCES, deadlines.SHARING_END)
    if source.server is None:
        spec |= without_names()
    job = owned("batch/v1", "Job", model, name, Component.SHARING, epoch)
    return job | {
        "spec": {
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": deadlines.START,
            "template": {
                "metadata": {"labels": names.labels(model, Component.SHARING, epoch)},
                "spec": spec,
            },
        }
    }


def _arguments(model: SecureModel, source: Supply, cluster_ips: ClusterIPs) -> list[str]:
    digest, bits = model.spec.model.digest, model.spec.answer.fractional_bits
    inputs = model.spec.model.input_range
    return [
        *source.arguments,
        f"--model-source={source.words}",
        *([f"--digest={digest}"] if digest else []),
        f"--protocol={model.spec.protocol}",
        *([] if bits is None else [f"--answer-fractional-bits={bits}"]),
        *([f"--input-range={inputs.argument}"] if inputs else []),
        f"--credentials={places.CREDENTIALS}",
        *(f"--worker={ports.host_port(ip, ports.CLIENTS)}" for ip in cluster_ips),
        f"--report={places.REPORT}",
        f"--timeout={deadlines.SHARE}",
    ]
