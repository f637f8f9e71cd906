"""kubectl and helm, tied to the test cluster: a command that would reach any other is refused."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import yaml

Document = Mapping[str, Any]

SECONDS = 180
"""The longest that one command may take."""

_ELSEWHERE = ("--kubeconfig", "--context", "--cluster", "--server", "--kube-context", "--kube-apiserver", "-s")


@dataclass(eq=False)
class ToolFailed(Exception):
    """kubectl or helm ended with another status than 0."""

    command: tuple[str, ...]
    status: int
    said: str

    def __str__(self) -> str:
        return f"`{' '.join(self.command)}` ended with {self.status}: {self.said.strip()}"


@dataclass(eq=False)
class NotTheTestCluster(Exception):
    """A command or a kubeconfig that leads elsewhere."""

    what: str

    def __str__(self) -> str:
        return f"{self.what} does not lead to the test cluster; nothing was sent"


@dataclass(frozen=True)
class Tool:
    """A program, the kubeconfig that it uses whatever the environment says, and the namespace that it works in."""

    program: Path
    kubeconfig: Path
    namespace: str = "default"

    def __post_init__(self) -> None:
        for cluster in yaml.safe_load(self.kubeconfig.read_text())["clusters"]:
            server = cluster["cluster"]["server"]
            if urlsplit(server).hostname != "127.0.0.1":
                raise NotTheTestCluster(f"{self.kubeconfig} with its server {server}")

    def __call__(self, *arguments: str | Path, text: str | None = None, seconds: float = SECONDS) -> str:
        """Run it, with `text` as its input; its output."""
        command = self._command(arguments)
        done = subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=self._environment(),
            check=False,
        )
        if done.returncode:
            raise ToolFailed(tuple(command[:1] + command[3:]), done.returncode, done.stderr + done.stdout)
        return done.stdout

    def fails(self, *arguments: str | Path, text: str | None = None) -> str:
        """Run it, and have it refused; what it says about that."""
        try:
            said = self(*arguments, text=text)
        except ToolFailed as error:
            return error.said
        raise AssertionError(f"`{' '.join(map(str, arguments))}` was accepted: {said}")

    def _command(self, arguments: tuple[str | Path, ...]) -> list[str]:
        words = [str(word) for word in arguments]
        ours = words[: words.index("--")] if "--" in words else words
        for word in ours:
            if word.split("=")[0] in _ELSEWHERE:
                raise NotTheTestCluster(word)
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *words]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.kubeconfig.parent), "KUBECONFIG": str(self.kubeconfig)}


class Kubectl(Tool):
    """kubectl."""

    def within(self, namespace: str) -> Kubectl:
        """The same, in another namespace."""
        return replace(self, namespace=namespace)

    def apply(self, *documents: Document | str, **options: str) -> str:
        """Apply objects, or YAML text of some."""
        text = "\n---\n".join(part if isinstance(part, str) else yaml.safe_dump(dict(part)) for part in documents)
        return self("apply", "--filename=-", *(f"--{name}={value}" for name, value in options.items()), text=text)

    def get(self, *arguments: str) -> Any:
        """Objects as data: one by its type and name, or the items of a list."""
        found = json.loads(self("get", *arguments, "--output=json"))
        return found["items"] if found["kind"].endswith("List") else found

    def exists(self, *arguments: str) -> bool:
        """Whether there is such an object, or any of such a list."""
        return bool(self("get", *arguments, "--ignore-not-found", "--output=name").strip())

    def exec(self, pod: str, *command: str) -> str:
        """Run a command in a pod's first container; its output."""
        return self("exec", pod, "--", *command)

    @contextmanager
    def running(self, *arguments: str, output: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on beside the block and writes into a file; ended with it, if it has not ended before."""
        command = self._command(arguments)
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=self._environment()
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    @contextmanager
    def port_forward(self, target: str, port: int) -> Iterator[int]:
        """A port of 127.0.0.1 that leads to a port of a pod or a service, as long as the block lasts."""
        command = self._command(("port-forward", target, f":{port}"))
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._environment()
        ) as process:
            assert process.stdout
            said = b""
            deadline = time.monotonic() + 30
            try:
                while not (found := re.search(rb"127\.0\.0\.1:(\d+)", said)):
                    ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
                    more = os.read(process.stdout.fileno(), 4096) if ready else b""
                    if not more:
                        raise ToolFailed(tuple(command), process.poll() or 0, said.decode())
                    said += more
                yield int(found[1])
            finally:
                process.terminate()


def written(file: IO[Any]) -> str:
    """What a program that still runs has written into a file of ours: it goes on where it is, so no seeking."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


class Helm(Tool):
    """helm."""

    def within(self, namespace: str) -> Helm:
        """The same, in another namespace."""
        return replace(self, namespace=namespace)
