"""What the kubelet and Prometheus ask the operator over plain HTTP: /healthz, /readyz and /metrics, nothing else.

Nothing secret is behind it. It answers from the event loop that the reconciler runs in: where that is blocked, there
is no answer, and the kubelet's time limit is what finds it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from triveni.controller.metrics import CONTENT_TYPE, Metrics

Problem = Callable[[], str | None]
"""Asked for a sentence about what is wrong; None if nothing is."""

EVERYWHERE = "0.0.0.0"  # noqa: S104 (kubelet and Prometheus come from outside the pod)
PORT = 8081
KEEP_ALIVE_S = 75.0
LINGER_S = 1.0
LONGEST_LINE = 2048


@dataclass(eq=False)
class CannotListen(Exception):
    """The port is in use, or the address is not of this machine."""

    host: str
    port: int
    problem: str

    def __str__(self) -> str:
        return f"cannot listen for health and metrics at {self.host}:{self.port}: {self.problem}; free it"


@asynccontextmanager
async def health(
    *, alive: Problem, ready: Problem, metrics: Metrics, host: str = EVERYWHERE, port: int = PORT
) -> AsyncIterator[int]:
    """Answer while the context lasts. Gives the port, which the system chooses for 0.

    Args:
        alive: says why the process has to be restarted, if it has to be.
        ready: says what it still needs before it can act. A replica that waits to lead lacks nothing: were it not
            ready, no Deployment of two would ever be rolled out.
        metrics: what /metrics shows.

    Raises:
        CannotListen: the port is in use.
    """
    application = web.Application()
    application.router.add_get("/healthz", _verdict(alive))
    application.router.add_get("/readyz", _verdict(ready))
    application.router.add_get("/metrics", _metrics(metrics))
    runner = web.AppRunner(
        application,
        access_log=None,
        keepalive_timeout=KEEP_ALIVE_S,
        lingering_time=LINGER_S,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
        shutdown_timeout=LINGER_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise CannotListen(host, port, error.strerror or type(error).__name__) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _verdict(problem_of: Problem) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        problem = problem_of()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    return answer


def _metrics(metrics: Metrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    return answer
