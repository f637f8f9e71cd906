"""Stands in for ``python -m triveni.worker`` where the runner is tested: it answers /triveni/v1/status, does what the
plan says for its epoch and party, and reports. The plan is a JSON file named in FAKE_PLAN:

    {"1": {"answers": [3, 3, 2], "end": ["quota", "quota", "kill"]}, ...}

`answers` are released one by one once the fake sharing process has been, each when the one before has been asked for;
`end` is what follows.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from triveni.identity.credentials import Credentials
from triveni.identity.tls import server_context

EXIT = {"QuotaReached": 0, "Terminated": 0}


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def serve(config: dict[str, Any], end: str, answers: int) -> str:
    """Be a worker to the end; the reason for the report."""
    state = {"state": "WaitingForShares", "answered": 0, "epoch": config["epoch"], "party": config["party"]}
    config["state"] = state
    terminated = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminated.set if end != "hang" else lambda: None)

    told: Counter[tuple[str, int]] = Counter()
    asked = asyncio.Event()

    async def status(_: web.Request) -> web.Response:
        told[state["state"], state["answered"]] += 1
        asked.set()
        return web.json_response(state)

    async def known() -> None:
        """Wait until the runner has the newest status: it has asked once more after it was told, or asks no more."""
        while told[state["state"], state["answered"]] < 2 and not terminated.is_set():
            asked.clear()
            try:
                await asyncio.wait_for(asked.wait(), 0.5 if sum(told.values()) else 10)
            except TimeoutError:
                return

    async def vanishing() -> None:
        """Wait until all that are to be killed are about to be."""
        await until(lambda: len(list(Path(config["report"]).parent.glob("vanishing-*"))) == config["killed"])

    app = web.Application()
    app.router.add_get("/triveni/v1/status", status)
    runner = web.AppRunner(app)
    await runner.setup()
    context = server_context(Credentials.read(config["credentials"]))
    await web.TCPSite(runner, config["listen"]["host"], config["listen"]["port"], ssl_context=context).start()
    if end == "crash":
        sys.exit("it is broken\nfor good")
    shared = Path(config["report"]).parent / "shared"
    await until(lambda: shared.exists() or terminated.is_set())
    if terminated.is_set():
        return "Terminated"
    state["state"] = "Serving"
    await known()
    while state["answered"] < answers:
        state["answered"] += 1
        await known()
    if end == "kill":
        # When three vanish at once, the runner has to know what each had answered for the test to know it.
        (Path(config["report"]).parent / f"vanishing-{config['party']}").touch()
        await vanishing()
        os.kill(os.getpid(), signal.SIGKILL)
    if end in ("wait", "hang"):
        await terminated.wait()
        return "Terminated"
    await vanishing()  # a loss comes after what was lost
    await asyncio.sleep(0.1)
    await runner.cleanup()
    return {"quota": "QuotaReached", "lost": "PeerLost"}[end]


def main() -> None:
    config = json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    plan = json.loads(Path(os.environ["FAKE_PLAN"]).read_text())[str(config["epoch"])]
    party = config["party"]
    config["killed"] = plan["end"].count("kill")
    reason = asyncio.run(serve(config, plan["end"][party], plan["answers"][party]))
    answered = config["state"]["answered"]
    report = {
        "epoch": config["epoch"],
        "party": party,
        "admitted": answered,
        "answered": answered,
        "erased": True,
        "reason": reason,
        "message": f"{reason}, says worker {party}",
        "rounds": 37 * answered,
        "bytes_sent": 1000 * answered,
        "receipt": {"epoch": config["epoch"], "party": party, "erased_at": "now", "bytes_erased": 10},
    }
    Path(config["report"]).write_text(json.dumps(report))
    sys.exit(EXIT.get(reason, 1))


if __name__ == "__main__":
    main()
