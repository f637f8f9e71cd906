"""A worker from its start to its report: puts the parts together, moves through the states, and ends for certain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from triveni.api.inference import Reason, Tensor
from triveni.identity.credentials import Credentials
from triveni.identity.tls import InvalidCredentials, client_context, server_context
from triveni.mpc.architecture import Architecture
from triveni.mpc.input_range import InputRange
from triveni.worker import model as models
from triveni.worker.admission import MAX_REQUESTS
from triveni.worker.config import Config
from triveni.worker.connect import Connections, Meeting, PeersUnreachable, meet
from triveni.worker.control import ControlLink
from triveni.worker.desk import LEADER, Desk
from triveni.worker.frame import InvalidFrame
from triveni.worker.front import Front
from triveni.worker.health import Health
from triveni.worker.links import DataLinks
from triveni.worker.listen import CannotListen, listen
from triveni.worker.loading import Loaded, Unusable, load
from triveni.worker.log import Log
from triveni.worker.model import Model
from triveni.worker.quota import Count
from triveni.worker.refusal import QUOTA_REACHED, Refused
from triveni.worker.report import Receipt, Report
from triveni.worker.state import Ending, EndReason, State, advance

RUN_ENDS_S = 2.0
"""How long the current run may take to complete once the worker ends; then its links are cut."""

SIGNAL_FOLLOWS_S = 0.5
"""A peer that ended may have been told to, together with us: how long to wait for our own signal."""

ERASE_S = 5.0

EARLY_MESSAGES = 2 * MAX_REQUESTS
"""Messages about requests that are kept while this worker is not as far as its peers."""

SWITCH_INTERVAL_S = 0.0005
"""How long the event loop may keep the engine thread from going on with a round."""


class Service:
    """One worker. `run` is its life."""

    def __init__(self, config: Config, log: Log) -> None:
        self._config = config
        self._log = log
        self._state = State.STARTING
        self._front = Front(config, self, log)
        self._health = Health(self, config.run_timeout_s)
        # One thread for all that uses the machine and the data links: keys, weights, runs.
        self._engine_thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._connected = asyncio.Event()
        self._served = asyncio.Event()
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._signalled = asyncio.Event()
        self._links: DataLinks | None = None
        self._controls: dict[int, ControlLink] = {}
        self._early: list[tuple[int, Any]] = []
        self._architecture: Architecture | None = None
        self._sharing: str | None = None
        self._inputs: InputRange | None = None
        self._preparing: asyncio.Task[Loaded] | None = None
        self._loaded: Loaded | None = None
        self._loading = False
        self._engine_ended: Future[Ending] | None = None
        self._metadata = b""

    async def run(self) -> Report:
        """Live until the quota is reached, somebody asks to end, or something fails; the report is not written yet."""
        self._watch_signals()
        life: asyncio.Task[None] | None = None
        try:
            life = asyncio.create_task(self._live(await self._open()))
            life.add_done_callback(self._life_ended)
        except CannotListen as error:
            self.end(Ending(EndReason.CANNOT_LISTEN, str(error)))
        except InvalidCredentials as error:
            self.end(Ending(EndReason.INVALID_CREDENTIALS, str(error)))
        except OSError as error:
            self.end(Ending(EndReason.INVALID_CREDENTIALS, f"{error.filename}: {error.strerror}"))
        ending = await self._ending
        if life is not None:
            life.cancel()
            await asyncio.wait([life])
        return await self._finish(ending)

    def end(self, ending: Ending) -> None:
        """End for this reason, unless it ends already. The current run is completed if it can be."""
        if self._ending.done():
            return
        self._log.info("ending", reason=ending.reason.value, message=ending.message)
        self._ending.set_result(ending)
        for control in list(self._controls.values()):  # one that turns out to be lost drops out meanwhile
            control.send(["leaving", ending.reason.value])
        if self._loaded is not None:
            self._loaded.engine.stop(ending)
        elif self._links is not None:
            self._links.wake()

    # --- the parts, in the order of a worker's life ---

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def _on_signal(self, number: int) -> None:
        self._signalled.set()
        self.end(Ending(EndReason.TERMINATED, f"asked to end by {signal.Signals(number).name}"))

    async def _open(self) -> Meeting:
        """Listen for kubelet, which asks from the very start, for clients and for peers."""
        config = self._config
        if config.health_listen is not None:
            await self._health.start(listen("probes", config.health_listen))
        credentials = Credentials.read(config.credentials)
        accepting, connecting = server_context(credentials), client_context(credentials)
        front = listen("clients", config.listen)
        try:
            peers = listen("workers", config.peer_listen)
        except CannotListen:
            front.close()
            raise
        await self._front.start(front, accepting)
        self._log.info("listening", clients=str(config.listen), workers=str(config.peer_listen))
        return Meeting(config.identity, peers, config.peers, accepting, connecting, self._log)

    async def _live(self, meeting: Meeting) -> None:
        config = self._config
        try:
            with contextlib.closing(meeting.listener):
                connections = await meet(meeting, config.connect_timeout_s)
        except PeersUnreachable as error:
            self.end(Ending(EndReason.PEERS_UNREACHABLE, str(error)))
            return
        self._connect(connections)
        self._advance(State.WAITING_FOR_ARCHITECTURE)
        self._connected.set()
        try:
            async with asyncio.timeout(config.share_timeout_s):
                await self._served.wait()
        except TimeoutError:
            message = (
                f"the model was not shared within {config.share_timeout_s:g} s; the worker is in state {self._state}"
            )
            self.end(Ending(EndReason.SHARE_TIMEOUT, message))
            return
        while config.party == LEADER and self._loaded is not None:
            await asyncio.sleep(min(1.0, config.request_timeout_s / 4))
            self._loaded.desk.expire()

    def _life_ended(self, life: asyncio.Task[None]) -> None:
        if not life.cancelled() and (error := life.exception()) is not None:
            self._fail("connecting", error)

    def _connect(self, connections: Connections) -> None:
        self._links = DataLinks(connections.outgoing, connections.incoming, self._config.run_timeout_s)
        self._controls = {
            peer: ControlLink(peer, sock, self._on_control, self._on_control_lost)
            for peer, sock in connections.control.items()
        }

    async def _prepare(self, architecture: Architecture) -> Loaded:
        """Compile, prove, agree on keys. Whatever goes wrong ends the epoch, and the sharing job is told why."""
        await self._connected.wait()
        assert self._links is not None
        self._advance(State.COMPILING)
        try:
            loaded = await load(self._config, architecture, self._links, self._engine_thread, self._ending.done)
        except Unusable as error:
            if error.reason is not None:
                self.end(Ending(error.reason, error.message))
            raise Refused(error.refusal, error.message) from None
        loaded.desk.send_control = self._send_control
        self._loaded = loaded
        model, native = loaded.model, loaded.machine.is_native
        self._log.info("ready for shares", program=model.digest, rounds=model.cost.online_rounds, native=native)
        self._advance(State.WAITING_FOR_SHARES)
        self._take_early_messages(loaded.desk)
        return loaded

    def _take_early_messages(self, desk: Desk) -> None:
        early, self._early = self._early, []
        for peer, message in early:
            try:
                desk.on_control(peer, message)
            except InvalidFrame as error:
                self._on_control_lost(peer, str(error))

    # --- what the front asks ---

    @property
    def state(self) -> State:
        """Where the worker is in its life."""
        return self._state

    def serving(self) -> tuple[Desk, Model]:
        """Desk and model; Refused (NotReady) before there are weights."""
        if self._loaded is None or not self._served.is_set():
            if self._ending.done():
                raise Refused(Reason.EPOCH_ENDED, "the epoch of this worker has ended")
            raise Refused(Reason.NOT_READY, f"the worker is in state {self._state}")
        return self._loaded.desk, self._loaded.model

    def metadata(self) -> bytes:
        """The public description; Refused (NotReady) before there are weights."""
        _, model = self.serving()
        if not self._metadata:
            self._metadata = json.dumps(models.metadata(model, self._config, self._inputs)).encode()
        return self._metadata

    def status(self) -> Mapping[str, Any]:
        """The live counts."""
        config, loaded = self._config, self._loaded
        count = loaded.desk.count if loaded else Count(config.grant)
        statistics = loaded.machine.statistics if loaded else None
        return {
            "state": self._state,
            "epoch": config.epoch,
            "party": config.party,
            "granted": config.grant,
            "admitted": count.admitted,
            "answered": count.answered,
            "requests_waiting": loaded.desk.waiting if loaded else 0,
            "runs": statistics.runs if statistics else 0,
            "rounds": statistics.rounds if statistics else 0,
            "bytes_sent": self._links.bytes_sent if self._links else 0,
            "latency_ms": loaded.engine.latency_ms() if loaded else {},
        }

    def run_progress(self) -> int | None:
        """A number that grows while a run makes progress; None if nothing runs."""
        if self._loaded is None or self._links is None or not self._loaded.engine.running:
            return None
        return self._links.bytes_sent

    async def set_architecture(self, document: Any) -> Mapping[str, Any]:
        """Take the architecture, compile it and agree on keys. The same one again gets the same answer.

        But not from somebody who splits the model anew: two workers with shares of one splitting and a third with those
        of another would compute nonsense.
        """
        config, sharing = self._config, models.read_sharing(document)
        architecture = models.read_architecture(document, config.protocol, config.answer_fractional_bits)
        inputs = models.read_inputs(document)
        if self._ending.done():
            raise Refused(Reason.EPOCH_ENDED, "the epoch of this worker has ended")
        if self._preparing is None or self._architecture is None:
            self._architecture, self._sharing, self._inputs = architecture, sharing, inputs
            self._preparing = asyncio.create_task(self._prepare(architecture))
            self._preparing.add_done_callback(self._prepared)
        elif (architecture, inputs) != (self._architecture, self._inputs):
            raise Refused(Reason.FORBIDDEN, "this worker has another architecture already; start a new epoch")
        elif sharing != self._sharing:
            raise Refused(Reason.FORBIDDEN, "the model is being shared in this epoch already; start a new epoch")
        try:
            loaded = await asyncio.shield(self._preparing)
        except asyncio.CancelledError:
            if not self._preparing.cancelled():
                raise  # it is the caller who went away
            raise Refused(Reason.EPOCH_ENDED, "the epoch of this worker has ended") from None
        return {**loaded.model.summary(), "max_rows": self._config.max_rows}

    def _prepared(self, preparing: asyncio.Task[Loaded]) -> None:
        if (
            not preparing.cancelled()
            and (error := preparing.exception()) is not None
            and not isinstance(error, Refused)
        ):
            self._fail("preparing the model", error)

    def share_bytes(self) -> int:
        """Size of the weight shares that are expected; Refused if none are."""
        if self._loaded is None or self._ending.done():
            self.serving()
            raise Refused(Reason.EPOCH_ENDED, "the epoch of this worker has ended")
        if self._loading or self._served.is_set():
            raise Refused(Reason.FORBIDDEN, "this worker holds its shares already; start a new epoch to share again")
        return self._loaded.model.share_bytes

    async def load_shares(self, tensors: list[Tensor]) -> None:
        """Take the weight shares and serve; Refused if they do not fit."""
        self.share_bytes()
        loaded = self._loaded
        assert loaded is not None
        weights = models.read_shares(tensors, loaded.model.program, self._config.party)
        self._loading = True
        try:
            await asyncio.wrap_future(self._engine_thread.submit(loaded.machine.load_weights, weights))
        finally:
            self._loading = False
        if self._ending.done():
            raise Refused(Reason.EPOCH_ENDED, "the epoch of this worker has ended")
        self._advance(State.SERVING)
        self._served.set()
        loop = asyncio.get_running_loop()
        self._engine_ended = self._engine_thread.submit(loaded.engine.serve)
        self._engine_ended.add_done_callback(lambda ended: loop.call_soon_threadsafe(self._on_engine_ended, ended))
        loaded.desk.set_loaded(self._config.party)

    # --- what happens ---

    def _on_engine_ended(self, ended: Future[Ending]) -> None:
        error = ended.exception()
        if error is not None:
            self._fail("the engine", error)
        else:
            self.end(ended.result())

    def _fail(self, what: str, error: BaseException) -> None:
        """Something that should not happen did: says where, but not with the exception's text, which may hold data."""
        self._log.error("failed", error, what=what)
        self.end(Ending(EndReason.ENGINE_FAILED, f"{what} failed: {type(error).__name__}; the log says where"))

    def _send_control(self, peer: int, message: list[Any]) -> None:
        if (link := self._controls.get(peer)) is not None:
            link.send(message)

    def _on_control(self, peer: int, message: Any) -> None:
        match message:
            case ["leaving", EndReason.QUOTA_REACHED]:
                return  # its own engine told ours, or ours counted it
            case ["leaving", str(reason)]:
                self.end(Ending(EndReason.PEER_LOST, f"worker {peer} ended: {reason[:100]}"))
            case _ if self._loaded is not None:
                self._loaded.desk.on_control(peer, message)
            case _ if self._preparing is not None and len(self._early) < EARLY_MESSAGES:
                self._early.append((peer, message))  # it has agreed on keys with us and is a little faster
            case _:
                raise InvalidFrame("comes before it can have agreed on keys")

    def _on_control_lost(self, peer: int, problem: str) -> None:
        self._controls.pop(peer, None)
        if self._loaded is None or not self._loaded.desk.count.reached:
            self.end(Ending(EndReason.PEER_LOST, f"worker {peer} is lost: {problem}"))

    # --- the end ---

    async def _finish(self, ending: Ending) -> Report:
        ending = await self._stop_engine(ending)
        if self._loaded is not None:
            message = (
                QUOTA_REACHED if ending.reason is EndReason.QUOTA_REACHED else "the epoch of this worker has ended"
            )
            reason = Reason.QUOTA_REACHED if ending.reason is EndReason.QUOTA_REACHED else Reason.EPOCH_ENDED
            self._loaded.desk.close(Refused(reason, message))
        receipt = await self._erase()
        if ending.reason is EndReason.QUOTA_REACHED:
            if self._state is State.SERVING:
                self._advance(State.QUOTA_REACHED)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._signalled.wait(), self._config.drain_s)
        elif ending.reason is EndReason.PEER_LOST:
            ending = await self._told_to_end_as_well(ending)
        await self._front.stop()
        if self._loaded is not None:
            self._loaded.desk.erase()
        for control in self._controls.values():
            control.close()
        if self._links is not None:
            self._links.close()
        self._advance(ending.reason.final_state)
        self._health.stop()
        return self._report(ending, receipt)

    async def _stop_engine(self, ending: Ending) -> Ending:
        """Wait for the current run; the reason why it really ended."""
        if self._preparing is not None:
            self._preparing.cancel()
        if self._engine_ended is not None and not self._engine_ended.done():
            assert self._loaded is not None
            self._loaded.engine.stop(ending)
            await asyncio.wait([asyncio.wrap_future(self._engine_ended)], timeout=RUN_ENDS_S)
        if self._links is not None and (self._engine_ended is None or not self._engine_ended.done()):
            self._links.cut()  # whatever the thread waits for ends now
        nothing_left = self._engine_thread.submit(lambda: None)
        await asyncio.wait([asyncio.wrap_future(nothing_left)], timeout=RUN_ENDS_S)
        ended = self._engine_ended
        if ended is not None and ended.done() and ended.exception() is None:
            ending = ended.result() if ended.result().reason is EndReason.QUOTA_REACHED else ending
        if self._links is not None and ending.reason is not EndReason.QUOTA_REACHED:
            self._links.cut()  # a peer that waits for a message of ours need not wait any longer
        return ending

    async def _told_to_end_as_well(self, ending: Ending) -> Ending:
        try:
            await asyncio.wait_for(self._signalled.wait(), SIGNAL_FOLLOWS_S)
        except TimeoutError:
            return ending
        return Ending(EndReason.TERMINATED, f"asked to end, as its peers probably were ({ending.message})")

    async def _erase(self) -> Receipt | None:
        """Overwrite weights, values and keys; None if there were none yet."""
        loaded = self._loaded
        if loaded is None:
            return None
        try:
            erasing = asyncio.wrap_future(self._engine_thread.submit(loaded.machine.erase))
            erased = await asyncio.wait_for(erasing, ERASE_S)
        except TimeoutError:
            self._log.error("not erased: the engine does not end")
            return None
        self._log.info("erased", bytes=erased)
        return Receipt.of(self._config, loaded.model.digest, erased, datetime.now(UTC))

    def _report(self, ending: Ending, receipt: Receipt | None) -> Report:
        loaded = self._loaded
        statistics = loaded.machine.statistics if loaded else None
        return Report.of(
            self._config,
            loaded.desk.count if loaded else Count(self._config.grant),
            ending,
            erased=receipt is not None or loaded is None,
            runs=statistics.runs if statistics else 0,
            rounds=statistics.rounds if statistics else 0,
            bytes_sent=self._links.bytes_sent if self._links else 0,
            receipt=receipt,
        )

    def _advance(self, state: State) -> None:
        self._state = advance(self._state, state)
        self._log.info("state", state=state.value)


async def live(config: Config, log: Log) -> Report:
    """The life of one worker; its report."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return await Service(config, log).run()
