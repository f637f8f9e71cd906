"""What a worker does for its memory before it holds anything, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = {"host": "127.0.0.1", "port": 1}

PROBE = """
import ctypes, resource, sys
from triveni.worker import __main__ as worker

PR_GET_DUMPABLE = 3

class Found(Exception):
    pass

async def live(config, log):
    raise Found(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))

resource.setrlimit(resource.RLIMIT_CORE, (1, resource.RLIM_INFINITY))
worker.live = live
try:
    worker.main(["--config", sys.argv[1]])
except Found as found:
    print(*found.args)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has prctl")
def test_a_worker_leaves_no_core_and_its_memory_is_nobody_elses(tmp_path: Path) -> None:
    document = {
        "namespace": "default",
        "uid": "uid",
        "name": "mnist",
        "epoch": 1,
        "party": 1,
        "protocol": "ABY3",
        "grant": None,
        "listen": HERE,
        "peer_listen": HERE,
        "peers": {"0": HERE, "2": HERE},
        "credentials": str(tmp_path),
        "report": str(tmp_path / "report"),
    }
    config = tmp_path / "config.json"
    config.write_text(json.dumps(document))
    command = [sys.executable, "-c", PROBE, str(config)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert found == "(0, 0) 0\n"
