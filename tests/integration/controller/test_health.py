"""The operator's health server, asked over loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from triveni.controller.health import CannotListen, health
from triveni.controller.metrics import Metrics


@dataclass
class Operator:
    """What the server asks, and where it listens."""

    sick: str | None = None
    waits: str | None = None
    metrics: Metrics = field(default_factory=Metrics)
    port: int = 0

    @asynccontextmanager
    async def served(self, port: int = 0) -> AsyncIterator[aiohttp.ClientSession]:
        serving = health(
            alive=lambda: self.sick, ready=lambda: self.waits, metrics=self.metrics, host="127.0.0.1", port=port
        )
        timeout = aiohttp.ClientTimeout(total=5)
        async with serving as chosen, aiohttp.ClientSession(f"http://127.0.0.1:{chosen}", timeout=timeout) as session:
            self.port = chosen
            yield session


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_healthy_operator_answers_ok(path: str) -> None:
    async with Operator().served() as session:
        assert await get(session, path) == (200, "ok")


async def test_a_stuck_operator_is_not_alive_and_says_why_until_it_goes_on() -> None:
    operator = Operator()
    async with operator.served() as session:
        operator.sick = "bank/mnist has waited 130 s to be reconciled"
        assert await get(session, "/healthz") == (503, operator.sick)
        assert (await get(session, "/readyz"))[0] == 200
        operator.sick = None
        assert (await get(session, "/healthz"))[0] == 200


async def test_an_operator_that_is_not_ready_is_alive() -> None:
    async with Operator(waits="has not listed the SecureModels yet").served() as session:
        assert await get(session, "/readyz") == (503, "has not listed the SecureModels yet")
        assert (await get(session, "/healthz"))[0] == 200


async def test_metrics_come_in_the_text_format() -> None:
    operator = Operator()
    operator.metrics.reconciled("ok", 0.1)
    async with operator.served() as session, session.get("/metrics") as response:
        assert response.content_type == "text/plain"
        assert 'triveni_reconciles_total{outcome="ok"} 1.0' in await response.text()


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/x", "/debug"])
async def test_there_is_no_other_route(path: str) -> None:
    async with Operator().served() as session:
        assert (await get(session, path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_it_can_only_be_asked(method: str) -> None:
    async with Operator().served() as session, session.request(method, "/metrics") as response:
        assert response.status == 405


async def test_a_header_without_end_is_refused() -> None:
    async with Operator().served() as session, session.get("/healthz", headers={"x": "y" * 5000}) as response:
        assert response.status == 400


async def test_a_port_in_use_is_a_clear_error() -> None:
    operator = Operator()
    async with operator.served():
        with pytest.raises(CannotListen, match=rf"health and metrics at 127\.0\.0\.1:{operator.port}: .*; free it"):
            async with Operator().served(operator.port):
                pass


async def test_afterwards_the_port_is_free_even_with_connections_open() -> None:
    async with asyncio.timeout(5):
        operator = Operator()
        async with operator.served() as session:
            await get(session, "/healthz")
        async with Operator().served(operator.port) as again:
            assert (await get(again, "/healthz"))[0] == 200
