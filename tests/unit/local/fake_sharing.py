"""Stands in for ``python -m triveni.sharing``: shares, or fails as "sharing" in the plan (see `fake_worker`) says."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in (
        "--model",
        "--model-url",
        "--model-source",
        "--protocol",
        "--digest",
        "--credentials",
        "--report",
        "--timeout",
    ):
        parser.add_argument(option)
    parser.add_argument("--worker", action="append")
    arguments = parser.parse_args()
    folder = Path(arguments.report).parent
    plan = json.loads(Path(os.environ["FAKE_PLAN"]).read_text())[folder.name.removeprefix("epoch-")]
    failure = plan.get("sharing")
    if failure == "hang":
        time.sleep(60)
    if failure:
        Path(arguments.report).write_text(
            json.dumps(dict(zip(("reason", "message", "permanent"), failure, strict=True)))
        )
        sys.exit(1)
    if arguments.model_url:
        for line in (
            {"fetching": {"bytes": 1000, "total": 2000}},
            {"trying again": {"problem": "the connection broke", "bytes": 1500, "seconds": 0.5}},
            {"fetching": {"bytes": 2000, "total": 2000}},
            {"step": "fetched", "seconds": 0.1},
        ):
            print(json.dumps(line), flush=True)  # noqa: T201
    print(json.dumps({"step": "architecture", "seconds": 0.1}), flush=True)  # noqa: T201
    assert arguments.model_url or Path(arguments.model).read_bytes().startswith(b"PK")
    (folder / "shared").touch()


if __name__ == "__main__":
    main()
