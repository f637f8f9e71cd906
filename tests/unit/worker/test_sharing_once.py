"""A worker takes part in one sharing of an epoch: shares of two splittings together would compute nonsense."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from triveni.api.inference import Reason
from triveni.mpc.architecture import Architecture, Dense
from triveni.worker.config import Address, Config
from triveni.worker.log import Log
from triveni.worker.refusal import Refused
from triveni.worker.service import Service

HERE = Address("127.0.0.1", 1)

CONFIG = Config(
    namespace="default",
    uid="uid",
    name="mnist",
    epoch=1,
    party=1,
    protocol="ABY3",
    grant=None,
    listen=HERE,
    peer_listen=HERE,
    peers={0: HERE, 2: HERE},
    credentials=Path("c"),
    report=Path("r"),
)

BEGINS: dict[str, Any] = {
    "protocol": "ABY3",
    "architecture": json.loads(json.dumps(Architecture((3,), (Dense("d", 2),)).document())),
    "sharing": "one",
}


async def test_whoever_splits_the_model_anew_is_refused_before_any_share_is_sent() -> None:
    service = Service(CONFIG, Log.to("info", {}, io.StringIO()))
    first = asyncio.create_task(service.set_architecture(BEGINS))
    await asyncio.sleep(0)
    same = asyncio.create_task(service.set_architecture(BEGINS))
    async with asyncio.timeout(10):  # what is not refused waits with the first
        refused = await asyncio.gather(
            service.set_architecture(BEGINS | {"sharing": "another"}),
            service.set_architecture({key: BEGINS[key] for key in ("protocol", "architecture")}),
            service.set_architecture(BEGINS | {"input_range": {"min": 0, "max": 1}}),
            return_exceptions=True,
        )
    assert [error.reason if isinstance(error, Refused) else error for error in refused] == [Reason.FORBIDDEN] * 3
    assert str(refused[0]) == "the model is being shared in this epoch already; start a new epoch"
    assert not first.done()
    assert not same.done(), "the same again waits for the same answer"
    service._preparing.cancel()  # type: ignore[union-attr]  # it waits for peers that never come
    assert {type(error) for error in await asyncio.gather(first, same, return_exceptions=True)} == {Refused}


async def test_shares_are_taken_once() -> None:
    service = Service(CONFIG, Log.to("info", {}, io.StringIO()))
    loaded: Any = SimpleNamespace(model=SimpleNamespace(share_bytes=7))
    service._loaded = loaded
    assert service.share_bytes() == 7
    service._loading = True
    with pytest.raises(Refused, match="holds its shares already; start a new epoch"):
        service.share_bytes()
    service._loading = False
    service._served.set()
    with pytest.raises(Refused, match="holds its shares already; start a new epoch"):
        service.share_bytes()
