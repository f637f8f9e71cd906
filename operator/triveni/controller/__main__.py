"""`python -m triveni.controller`: the operator. Exit code 0 if it was asked to end, 1 if not, 2 for wrong arguments."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from kubernetes.aio.config import ConfigException

import triveni
from triveni.controller.cluster import Cluster
from triveni.controller.health import CannotListen, health
from triveni.controller.leader import LeaderElection, LeaseLost, new_identity
from triveni.controller.logs import Log, configure
from triveni.controller.metrics import Metrics
from triveni.controller.objects import Settings
from triveni.controller.operator import operate
from triveni.controller.reconciler import Reconciler

LEVELS = ("debug", "info", "warning", "error")

log = Log("triveni.controller")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator; its exit code."""
    arguments = _arguments(argv)
    configure(arguments.log_level)
    try:
        asyncio.run(_run(arguments))
    except asyncio.CancelledError:
        return 0
    except (CannotListen, LeaseLost) as error:
        log.error("the operator ends", detail=str(error))
        return 1
    except ConfigException:
        log.error("there is no cluster: run in a pod with a service account, or set KUBECONFIG")
        return 1
    return 0


async def _run(arguments: argparse.Namespace) -> None:
    this = asyncio.current_task()
    assert this is not None
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, this.cancel)
    log.info("the operator starts", version=triveni.__version__)
    metrics = Metrics()
    settings = Settings(
        arguments.worker_image,
        arguments.image_pull_policy,
        tuple(arguments.image_pull_secret),
        operator_namespace=os.environ.get("POD_NAMESPACE"),
    )
    async with await Cluster.connect() as cluster:
        reconciler = Reconciler(cluster, settings, metrics)
        election = LeaderElection(
            cluster,
            lease=arguments.lease_name,
            namespace=arguments.lease_namespace,
            identity=new_identity(os.environ.get("POD_NAME") or socket.gethostname()),
        )
        queue = reconciler.queue
        metrics.watch(leading=lambda: election.leading, queue=lambda: len(queue), oldest=queue.oldest)
        async with health(
            alive=reconciler.stuck,
            ready=lambda: None,
            metrics=metrics,
            port=arguments.health_port,
        ):
            await election.run(lambda: operate(cluster, reconciler, arguments.namespace))


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in the event loop where nobody waits for it.

    But for this: kopf leaves it to the loop's end to close its watches. That closes what is nested in a watch at the
    same time as the watch, and either may find the other half closed. Nothing is lost by then.
    """
    if "asyncgen" not in context:
        loop.default_exception_handler(context)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m triveni.controller", description="The operator: brings up, follows and tears down SecureModels."
    )
    parser.add_argument("--worker-image", required=True, metavar="IMAGE", help="image of workers and sharing jobs")
    parser.add_argument(
        "--image-pull-policy",
        default="IfNotPresent",
        choices=("Always", "IfNotPresent", "Never"),
        help="of that image (%(default)s)",
    )
    parser.add_argument(
        "--image-pull-secret",
        action="append",
        default=[],
        metavar="NAME",
        help="Secret with which it is pulled, in the namespace of each SecureModel; may be repeated",
    )
    parser.add_argument(
        "--namespace", action="append", default=[], metavar="NAME", help="watch this one only; may be repeated (all)"
    )
    parser.add_argument(
        "--lease-namespace",
        default=os.environ.get("POD_NAMESPACE", "default"),
        metavar="NAME",
        help="of the Lease by which one replica is chosen (%(default)s)",
    )
    parser.add_argument("--lease-name", default="triveni-operator", metavar="NAME", help="its name (%(default)s)")
    parser.add_argument(
        "--health-port", type=int, default=8081, metavar="PORT", help="for probes and metrics (%(default)s)"
    )
    parser.add_argument("--log-level", default="info", choices=LEVELS, help="of what is logged (%(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
