"""Records the command line at work, as asciinema casts: real commands on a real terminal, nothing acted.

    .venv/bin/python docs/recordings/record.py          # writes the *.cast files beside it; a minute or two

A cast is text: a header and, on each line, a time and what was written then (asciinema's format, version 2). Play one
with `asciinema play FILE`. The commands run in an empty folder with `examples` in it, so no path of this machine shows.
"""

from __future__ import annotations

import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

WIDTH, HEIGHT = 110, 34

KEY_S = 0.04
"""Between two typed letters."""

REST_S = 1.5
"""After a command, for whoever watches."""

LONGEST_PAUSE_S = 2.0
"""Longer ones are cut when it is played; the times of the cast are the real ones."""

SECONDS = 300

CASTS: Mapping[str, Sequence[str]] = {
    "check": ["triveni check examples/mnist/model.keras --rtt 10"],
    "run": ["triveni run examples/mnist.yaml --connection mnist.json"],
    "predict": [
        "triveni status --connection mnist.json",
        "triveni predict --connection mnist.json examples/mnist/digits/0*.png",
        "triveni predict --connection mnist.json --json examples/mnist/digits/00-9.png | cut -c 1-75",
        "triveni bench --connection mnist.json --requests 20 --concurrency 4",
        "triveni top --once --connection mnist.json",
    ],
}

SERVER = ["run", "examples/mnist.yaml", "--quota", "100", "--keep-serving", "--connection", "mnist.json"]
"""What serves the cast `predict`, in another terminal."""


@dataclass
class Cast:
    """What was written, and when (seconds from the start)."""

    events: list[tuple[float, str]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def write(self, text: str) -> None:
        """Something appears on the screen now."""
        self.events.append((time.monotonic() - self._began, text))

    def type(self, text: str) -> None:
        """Somebody types it."""
        self.write("\x1b[1;32m$\x1b[0m ")
        for letter in text:
            time.sleep(KEY_S)
            self.write(letter)
        self.write("\r\n")

    def text(self, title: str) -> str:
        """As a cast of version 2."""
        header = {
            "version": 2,
            "width": WIDTH,
            "height": HEIGHT,
            "title": title,
            "idle_time_limit": LONGEST_PAUSE_S,
            "env": {"TERM": "xterm-256color"},
        }
        lines = [header, *([round(at, 3), "o", text] for at, text in self.events)]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def run(command: str, cast: Cast, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a command on a terminal of its own and keep what it writes."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        pending = b""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            ready, _, _ = select.select([ours], [], [], 0.1)
            try:
                data = os.read(ours, 1 << 16) if ready else None
            except OSError:  # the other end is closed
                break
            if data == b"":
                break
            if data:
                pending += data
                text, pending = whole(pending)
                cast.write(text)
        else:
            process.kill()
            raise SystemExit(f"{command}: no end within {SECONDS} s")
        if process.wait():
            sys.stderr.write(f"{command}: exit code {process.returncode}\n")
    os.close(ours)


def whole(data: bytes) -> tuple[str, bytes]:
    """The whole characters, and the bytes of one that is not all there yet."""
    for cut in range(min(4, len(data) + 1)):
        head = data[: len(data) - cut]
        try:
            return head.decode(), data[len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


@contextmanager
def serving(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """The example, served as long as the block lasts."""
    command = [sys.executable, "-m", "triveni.cli", *SERVER]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            if not any(line.startswith("Serving after") for line in process.stdout):
                raise SystemExit("the example does not serve")
            yield
        finally:
            process.terminate()
            process.stdout.read()


def main() -> None:
    """Record all of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "examples").symlink_to(ROOT / "examples")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment.pop("NO_COLOR", None)
        for title, commands in CASTS.items():
            cast = Cast()
            if title == "predict":
                with serving(folder, environment):
                    cast = Cast()
                    record(commands, cast, folder, environment)
            else:
                record(commands, cast, folder, environment)
            text = cast.text(f"triveni {title}")
            for private in (str(ROOT), str(Path.home()) + "/"):
                if private in text:
                    raise SystemExit(f"{title}: {private} shows")
            (HERE / f"{title}.cast").write_text(text)
            sys.stderr.write(f"{title}.cast: {len(cast.events)} events, {cast.events[-1][0]:.0f} s\n")


def record(commands: Sequence[str], cast: Cast, folder: Path, environment: Mapping[str, str]) -> None:
    """Type and run them, one after the other."""
    for command in commands:
        cast.type(command)
        run(command, cast, folder, environment)
        time.sleep(REST_S)


if __name__ == "__main__":
    main()
