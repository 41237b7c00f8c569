"""A model's engine behind messages: requests and cancellations in, outputs out.

The event loop's side of it; the other is `engine_thread.py`. Knows no model and no HTTP.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from penstock.engine.metrics import EngineStats
from penstock.errors import ShuttingDown
from penstock.serving.engine_thread import Command, EngineKit, EngineThread, P
from penstock.serving.open_streams import OpenStreams
from penstock.serving.streams import OutputStream
from penstock.types import EngineOutput, GenerationRequest

logger = logging.getLogger(__name__)

T = TypeVar("T")
CLOSE_SECONDS = 5.0  # a step that takes longer is left behind


class EngineClient(Protocol):
    """The seam between the server and an engine, whether it is a thread or a process away."""

    @property
    def num_open(self) -> int:
        """How many requests have not had their last output, and questions not their answer."""

    async def submit(self, request: GenerationRequest) -> OutputStream:
        """Prepare the request and have the engine take it. Raises what it is refused for."""

    def cancel(self, request_id: str) -> None:
        """Have the engine forget the request. Unknown and finished ones are no error."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """The result of a method of the model's kit. Its name is one of `messages.KIT_METHODS`."""

    def is_stuck(self, *, after_seconds: float) -> bool:
        """It has work, and nothing has happened for so long."""

    @property
    def stats(self) -> EngineStats | None:
        """What the engine said of itself last; none before it said anything."""

    @property
    def memory_bytes(self) -> int:
        """How much memory goes back to the system when it is closed."""

    async def close(self) -> None:
        """Stop the engine; whatever was unfinished is told so."""

    def kill(self) -> None:
        """Give up an engine that does not move. A thread cannot be ended and goes on."""


class Worker(Generic[P]):
    """An `EngineClient` whose engine runs on a thread. Its streams belong to the event loop."""

    def __init__(self, kit: EngineKit[P], *, name: str) -> None:
        self._kit = kit
        self._loop = asyncio.get_running_loop()
        self._streams = OpenStreams()
        self._num_beside = 0  # of questions and preparations on other threads
        self._is_closing = False
        self._thread = EngineThread(kit, self._post, name=name)

    async def start(self) -> None:
        """Start the thread and make its engine. Raises what making the engine raised."""
        self._thread.start()
        try:
            await self._on_thread(self._thread.make_engine)
        except BaseException:
            self._thread.call(self._thread.stop)
            raise

    @property
    def num_open(self) -> int:
        """How many requests have not had their last output, and questions not their answer."""
        return len(self._streams) + self._num_beside

    async def submit(self, request: GenerationRequest) -> OutputStream:
        """Prepare the request off the event loop and have the engine take it."""
        self._refuse_when_closing()
        prepared = await self._beside(self._kit.prepare, request)
        self._refuse_when_closing()
        request_id = request.request_id
        stream = self._streams.open(request, self.cancel)
        try:
            await self._on_thread(lambda: self._thread.add(request_id, prepared))
        except asyncio.CancelledError:
            stream.close()  # the engine may have it by now
            raise
        except Exception:
            self._streams.forget(request_id)
            raise
        return stream

    def cancel(self, request_id: str) -> None:
        """Have the engine forget the request. Unknown and finished ones are no error."""
        if request_id in self._streams:
            self._thread.call(lambda: self._thread.cancel(request_id))

    async def call(self, method: str, *arguments: Any) -> Any:
        """The result of a method of the kit, which runs off the event loop."""
        return await self._beside(getattr(self._kit, method), *arguments)

    def is_stuck(self, *, after_seconds: float) -> bool:
        """It has work, and nothing has happened for so long."""
        return bool(self._streams) and self._thread.busy_seconds > after_seconds

    @property
    def stats(self) -> EngineStats | None:
        """What the engine says of itself."""
        return self._thread.stats

    @property
    def memory_bytes(self) -> int:
        """None: what a thread leaves behind belongs to this process."""
        return 0

    def kill(self) -> None:
        """A thread cannot be ended from outside: what it holds is left to it."""
        logger.error("An engine thread does not move, and cannot be ended.")

    async def close(self) -> None:
        """Stop the thread; whatever was unfinished is told so."""
        if self._is_closing:
            return
        self._is_closing = True
        self._streams.fail(ShuttingDown("The server is shutting down.", "Send it again later."))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._on_thread(self._thread.stop)
        except TimeoutError:
            logger.warning("The engine did not stop within %s s.", CLOSE_SECONDS)

    async def _beside(self, function: Callable[..., T], *arguments: Any) -> T:
        """The function's result, from a thread that is not the engine's."""
        self._num_beside += 1
        try:
            return await asyncio.to_thread(function, *arguments)
        finally:
            self._num_beside -= 1

    def _refuse_when_closing(self) -> None:
        if self._is_closing:
            raise ShuttingDown("The model is being unloaded.", "Send the request again later.")

    async def _on_thread(self, action: Command) -> None:
        """Carry out `action` on the engine's thread and wait until it is done."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._thread.call(lambda: self._report(action, done))
        await done

    def _report(self, action: Command, done: asyncio.Future[None]) -> None:
        try:
            action()
        except Exception as error:
            self._loop.call_soon_threadsafe(_settle, done, error)
        else:
            self._loop.call_soon_threadsafe(_settle, done, None)

    def _post(self, outputs: list[EngineOutput]) -> None:
        """On the engine's thread: wake the event loop once for all outputs of a step."""
        self._loop.call_soon_threadsafe(self._streams.deliver, outputs)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
