"""From an architecture to everything but the weights: compiled, proved, keys agreed on, machine and desk made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from triveni.api.inference import Reason
from triveni.mpc.architecture import Architecture
from triveni.mpc.compile import CompileError
from triveni.mpc.execute.machine import Machine, PeerLost
from triveni.mpc.prove import Unproven
from triveni.mpc.randomness import EpochContext, Keystreams
from triveni.worker.agreement import ProgramsDiffer, Stopped, agree
from triveni.worker.config import Config
from triveni.worker.desk import Desk
from triveni.worker.engine import Engine
from triveni.worker.links import DataLinks
from triveni.worker.model import Model, prepare
from triveni.worker.state import EndReason

Result = TypeVar("Result")


@dataclass(eq=False)
class Unusable(Exception):
    """The epoch cannot go on with this architecture: what the sharing job is told, and why the worker ends.

    `reason` is None where the worker ends already, for another reason.
    """

    refusal: Reason
    reason: EndReason | None
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Loaded:
    """What there is once keys are agreed on, without the weights."""

    model: Model
    machine: Machine
    desk: Desk
    engine: Engine


async def load(
    config: Config,
    architecture: Architecture,
    links: DataLinks,
    engine_thread: ThreadPoolExecutor,
    stopped: Callable[[], bool],
) -> Loaded:
    """Compile and prove in a thread of its own, agree on keys and make the machine on the engine's.

    Raises:
        Unusable: there is no proved program, the peers have another, or the epoch ends meanwhile.
    """
    try:
        model = await _in_thread(lambda: prepare(architecture, config.protocol, config.cache, config.compile_timeout_s))
        context = EpochContext(config.namespace, config.uid, config.epoch, model.digest)

        def make_machine() -> Machine:
            secrets = agree(links, config.party, context, config.compile_timeout_s, stopped)
            return Machine(model.program, config.party, Keystreams(secrets, context), config.max_rows)

        machine = await asyncio.wrap_future(engine_thread.submit(make_machine))
    except CompileError as error:
        raise Unusable(Reason.UNSUPPORTED, EndReason.COMPILE_FAILED, str(error)) from None
    except Unproven as error:
        raise Unusable(Reason.UNSUPPORTED, EndReason.UNPROVEN, str(error)) from None
    except ProgramsDiffer as error:
        raise Unusable(Reason.UNSUPPORTED, EndReason.PROGRAMS_DIFFER, str(error)) from None
    except PeerLost as error:
        raise Unusable(Reason.EPOCH_ENDED, EndReason.PEER_LOST, str(error)) from None
    except Stopped:
        raise Unusable(Reason.EPOCH_ENDED, None, "the epoch of this worker has ended") from None
    desk = Desk(config.party, config.grant, config.request_timeout_s, model.row_bytes, config.max_rows)
    engine = Engine(config.party, machine, links, desk, config.max_rows)
    desk.wake = engine.wake
    return Loaded(model, machine, desk, engine)


async def _in_thread(work: Callable[[], Result]) -> Result:
    """Do blocking work in a thread that does not keep the process from ending."""
    done: Future[Result] = Future()
    done.set_running_or_notify_cancel()  # whoever waits may be cancelled; the result still has its place

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 (handed on to whoever waits)
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)
