"""`python -m triveni.worker --config FILE`: one worker. Exit code 0 if it ended as it was asked to, 1 otherwise."""

from __future__ import annotations

import os
import signal
import sys

from triveni.worker.process import overwrite_freed_memory, protect_memory

# A signal that comes while the rest is being loaded is kept until there is someone to handle it.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
if __name__ == "__main__":
    overwrite_freed_memory()
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the ring has no use for it, and its threads cost memory
os.environ["SSL_CERT_FILE"] = os.devnull  # aiohttp would load all public authorities; a worker trusts none of them

import argparse  # noqa: E402
import asyncio  # noqa: E402
from pathlib import Path  # noqa: E402

from triveni.worker.config import Config, InvalidConfig  # noqa: E402
from triveni.worker.log import Log  # noqa: E402
from triveni.worker.service import live  # noqa: E402
from triveni.worker.state import EndReason  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Run a worker; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m triveni.worker", description="One worker of a SecureModel.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file, see triveni.worker.config")
    path = parser.parse_args(arguments).config
    try:
        config = Config.read(path)
    except InvalidConfig as error:
        Log.to("info", {}).error(
            "the configuration cannot be used", reason=EndReason.INVALID_CONFIG, message=str(error)
        )
        return EndReason.INVALID_CONFIG.exit_code
    protect_memory()
    who = {"namespace": config.namespace, "uid": config.uid, "epoch": config.epoch, "party": config.party}
    log = Log.to(config.log_level, who)
    report = asyncio.run(live(config, log))
    try:
        report.write(config.report)
    except OSError as error:
        log.error("the report cannot be written", path=str(config.report), problem=error.strerror)
        return 1
    log.info("ended", reason=report.reason, admitted=report.admitted, answered=report.answered)
    return EndReason(report.reason).exit_code


if __name__ == "__main__":
    sys.exit(main())
