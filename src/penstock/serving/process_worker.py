"""An `EngineClient` whose engine runs in a process of its own. Lives on the event loop.

The other end is `hosting.py`. When the process dies, every request it held is told so at once.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from penstock.engine.metrics import EngineStats
from penstock.errors import EngineFailed, ModelUnavailable, PenstockError, ShuttingDown
from penstock.serving.frames import FrameReader, frame
from penstock.serving.memory import memory_of_process
from penstock.serving.messages import (
    KIT_METHODS,
    LOAD,
    NEWS,
    ORDERS,
    STOP,
    SUBMIT,
    Answered,
    Beat,
    Call,
    Cancel,
    Logged,
    Method,
    News,
    Order,
    Outputs,
    Refused,
)
from penstock.serving.models import LoadPlan, ServedModel
from penstock.serving.open_streams import OpenStreams
from penstock.serving.spawn import WorkerChild
from penstock.serving.streams import OutputStream
from penstock.types import GenerationRequest

logger = logging.getLogger(__name__)

_CLOSED = ShuttingDown("The model is being unloaded.", "Send the request again later.")
CLOSE_SECONDS = 5.0  # a worker that takes longer to stop is killed


@dataclass(frozen=True, slots=True)
class _Pending:
    """A call that was not answered yet, and what becomes of its refusal when nobody waits."""

    method: Method
    result: "asyncio.Future[Any]"
    on_refusal: Callable[[], None]


class ProcessWorker(asyncio.Protocol):
    """Owns one worker process, from its first order to its end.

    `on_death` is called once if the process ends by itself after its model was loaded.
    """

    def __init__(self, child: WorkerChild, *, name: str, on_death: Callable[[], None]) -> None:
        self._child = child
        self._name = name
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._streams = OpenStreams()
        self._calls: dict[int, _Pending] = {}
        self._num_calls = 0
        self._moved_at = time.monotonic()
        self._is_loaded = False
        self.stats: EngineStats | None = None  # as the last beat told them
        self._over: PenstockError | None = None  # why nothing new is taken
        self._ended: asyncio.Task[None] | None = None

    @property
    def num_open(self) -> int:
        """How many requests have not had their last output, and questions not their answer."""
        num_asked = sum(call.method.name in KIT_METHODS for call in self._calls.values())
        return len(self._streams) + num_asked

    @property
    def process_id(self) -> int:
        """The worker's process id."""
        return self._child.process.pid

    @property
    def memory_bytes(self) -> int:
        """How much memory goes back to the system when the process ends."""
        return memory_of_process(self.process_id)

    async def load(self, plan: LoadPlan) -> ServedModel:
        """Take the process over and have it load a model. Raises what loading it raised.

        Unless it succeeds, the process is gone afterwards.
        """
        try:
            await self._loop.create_unix_connection(lambda: self, sock=self._child.connection)
            model: ServedModel = await self._call(LOAD, plan)
        except BaseException:
            has_died, self._over = self._ended is not None, _CLOSED
            await asyncio.shield(self._kill())
            if has_died:
                raise self._died_while_loading() from None
            raise
        self._is_loaded = True
        return model

    async def submit(self, request: GenerationRequest) -> OutputStream:
        """Have the worker prepare the request and its engine take it."""
        self._refuse_when_over()
        if not self._streams:
            self._moved_at = time.monotonic()
        stream = self._streams.open(request, self.cancel)
        forget = partial(self._streams.forget, request.request_id)
        try:
            await self._call(SUBMIT, request, on_refusal=forget)
        except asyncio.CancelledError:
            stream.close()  # the engine may have it by now
            raise
        return stream

    def cancel(self, request_id: str) -> None:
        """Have the engine forget the request. Unknown and finished ones are no error."""
        if request_id in self._streams:
            self._send(Cancel(request_id))

    async def call(self, method: str, *arguments: Any) -> Any:
        """The result of a method of the model's kit."""
        self._refuse_when_over()
        return await self._call(KIT_METHODS[method], *arguments)

    def is_stuck(self, *, after_seconds: float) -> bool:
        """It has work, and nothing has happened for so long."""
        return bool(self._streams) and time.monotonic() - self._moved_at > after_seconds

    async def close(self) -> None:
        """Stop the process; whatever was unfinished is told so."""
        if self._over is None:
            self._over = _CLOSED
            self._streams.fail(_CLOSED)
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._call(STOP)
            except (TimeoutError, EngineFailed):
                logger.warning("The worker of %s did not stop by itself.", self._name)
        await self._kill()

    def kill(self) -> None:
        """End the process as if it had crashed."""
        self._child.process.kill()

    def data_received(self, data: bytes) -> None:
        """Take news from the worker."""
        for plain in self._reader.feed(data):
            self._take(NEWS.decode(plain))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line is ours."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker is gone, or is to be: answer everything that waits for it."""
        error = EngineFailed(
            f"The worker process of {self._name} ended unexpectedly.",
            "Send the request again: the model is being started anew.",
        )
        self._streams.fail(error)
        calls, self._calls = self._calls, {}
        for pending in calls.values():
            _refuse(pending, error)
        self._kill()
        if self._over is None:
            self._over = error
            if self._is_loaded:
                self._on_death()

    def _refuse_when_over(self) -> None:
        if self._over is not None:
            raise self._over

    async def _call(
        self, method: Method, *arguments: Any, on_refusal: Callable[[], None] = lambda: None
    ) -> Any:
        if self._ended is not None:
            raise EngineFailed(f"The worker process of {self._name} has ended.", "Send it again.")
        self._num_calls += 1
        result: asyncio.Future[Any] = self._loop.create_future()
        plain = method.encode_arguments(arguments)
        self._calls[self._num_calls] = _Pending(method, result, on_refusal)
        self._send(Call(number=self._num_calls, method=method.name, arguments=plain))
        return await result

    def _send(self, order: Order) -> None:
        assert self._transport is not None
        self._transport.write(frame(ORDERS.encode(order)))

    def _take(self, news: News) -> None:
        match news:
            case Outputs(outputs):
                self._moved_at = time.monotonic()
                self._streams.deliver(outputs)
            case Answered(number, plain):
                pending = self._calls.pop(number)
                if not pending.result.done():  # whoever asked may have left
                    pending.result.set_result(pending.method.result.decode(plain))
            case Refused(number, error):
                _refuse(self._calls.pop(number), error)
            case Beat(busy_seconds, stats):
                self._moved_at = time.monotonic() - busy_seconds
                self.stats = stats
            case Logged():
                _log(news)

    def _kill(self) -> asyncio.Task[None]:
        """Make sure that the process ends; done when the system has forgotten it."""
        if self._ended is None:
            self._child.process.kill()
            self._ended = asyncio.create_task(self._take_leave(), name=f"end-{self._name}")
        return self._ended

    def _died_while_loading(self) -> ModelUnavailable:
        reason = _reason(self._child.process.returncode)
        return ModelUnavailable(
            f"The worker process of {self._name} ended while it loaded the model ({reason}).",
            "If that was SIGKILL, memory ran out: unload another model or choose a smaller one.",
            param="model",
        )

    async def _take_leave(self) -> None:
        status = await asyncio.to_thread(self._child.process.wait)
        if self._transport is not None:
            self._transport.abort()
        logger.info("The worker process of %s ended: %s.", self._name, _reason(status))


def _refuse(pending: _Pending, error: Exception) -> None:
    pending.on_refusal()
    if not pending.result.done():
        pending.result.set_exception(error)


def _log(event: Logged) -> None:
    """Pass a worker's event on under its own logger."""
    extra = {"request_id": event.request_id}
    logging.getLogger(event.logger).log(event.level, "%s", event.message, extra=extra)


def _reason(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
