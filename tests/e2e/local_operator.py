"""Operators that run on this machine, outside the cluster: each can be killed at any moment, and stays dead."""

from __future__ import annotations

import logging
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.cluster import images
from tests.e2e.securemodels import Models
from tests.e2e.tools import Kubectl

log = logging.getLogger(__name__)

LEADING_S = 60
"""Seconds from the start of the process until it leads, at most."""


class LocalOperator:
    """One life of an operator."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._leading = threading.Event()
        self.log: list[str] = []

    def until_leading(self) -> None:
        """Wait until it begins to act."""
        leads = self._leading.wait(LEADING_S)
        assert (leads, self._process.poll()) == (True, None), "\n".join(self.log[-20:])

    def live(self, seconds: float) -> None:
        """Let it live so long; it must not end by itself."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError("\n".join([f"the operator ended with {status}", *self.log[-20:]]))

    def listen(self) -> None:
        """Read what it says until it is dead."""
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line.rstrip())
            if '"message": "leading"' in line:
                self._leading.set()
        self._leading.set()


class LocalOperators:
    """Operators for the SecureModels of one namespace, one after the other. Each is ended by SIGKILL.

    Args:
        kubectl: in that namespace, which no other operator may look after.
        chance: for the moments of their deaths.
    """

    def __init__(self, kubectl: Kubectl, chance: random.Random) -> None:
        self._kubectl, self._chance = kubectl, chance
        self.killed = 0
        self.left: list[int] = []
        """How many objects there were after each brief life."""
        self.log: list[str] = []

    def live_briefly(self, longest: float) -> None:
        """One, killed at a random moment in the first `longest` seconds in which it acts."""
        moment = self._chance.uniform(0, longest)
        with self.live() as operator:
            operator.live(moment)
        left = len(Models(self._kubectl).objects())
        log.info("kill %d, %.2f s after it began to act, with %d objects there", self.killed, moment, left)
        self.left.append(left)

    @contextmanager
    def live(self) -> Iterator[LocalOperator]:
        """One, which begins to act at the beginning of the block and is killed at its end."""
        # It leads by a Lease of its own, or it would have to wait until that of the one before has run out.
        lease = f"operator-{self.killed}"
        with subprocess.Popen(
            self._command(lease), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self._environment()
        ) as process:
            operator = LocalOperator(process)
            listening = threading.Thread(target=operator.listen)
            listening.start()
            try:
                operator.until_leading()
                yield operator
            finally:
                process.kill()
                listening.join()
                self.killed += 1
                self.log += operator.log

    def _command(self, lease: str) -> list[str]:
        namespace = self._kubectl.namespace
        return [
            *(sys.executable, "-m", "triveni.controller", f"--health-port={_free_port()}"),
            *(f"--worker-image={images.name('worker')}", "--image-pull-policy=Never"),
            *(f"--namespace={namespace}", f"--lease-namespace={namespace}", f"--lease-name={lease}"),
        ]

    def _environment(self) -> dict[str, str]:
        """No proxy, and nothing that looks like a pod's."""
        kubeconfig = self._kubectl.kubeconfig
        return {"PATH": os.environ["PATH"], "HOME": str(kubeconfig.parent), "KUBECONFIG": str(kubeconfig)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
