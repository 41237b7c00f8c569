"""One request's outputs on their way from the engine to whoever reads them.

Lives on the event loop alone. Knows nothing of engines, threads or HTTP.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

from penstock.errors import RequestCancelled
from penstock.types import (
    EngineOutput,
    GenerationRequest,
    RequestFinished,
    RequestStarted,
    Timings,
    TokensAdded,
)

MAX_WAITING_OUTPUTS = 256
STALL_SECONDS = 30.0
Clock = Callable[[], float]


def coalesce(outputs: Iterable[EngineOutput]) -> list[EngineOutput]:
    """The same outputs with all tokens of one sequence joined into its first event."""
    result: list[EngineOutput] = []
    places: dict[int, int] = {}
    for output in outputs:
        if isinstance(output, TokensAdded) and output.index in places:
            place = places[output.index]
            result[place] = _joined(result[place], output)
            continue
        if isinstance(output, TokensAdded):
            places[output.index] = len(result)
        result.append(output)
    return result


def _joined(first: EngineOutput, second: TokensAdded) -> TokensAdded:
    assert isinstance(first, TokensAdded)
    return replace(
        first,
        text=first.text + second.text,
        token_ids=first.token_ids + second.token_ids,
        logprobs=first.logprobs + second.logprobs,
    )


class OutputStream:
    """The outputs of `request`, in order, ending after its `RequestFinished`.

    Whoever holds it must `close` it: closing an unfinished stream cancels the request, and closing
    runs `on_close` once, however the stream ends.
    """

    def __init__(
        self,
        request: GenerationRequest,
        cancel: Callable[[], None],
        *,
        clock: Clock = time.monotonic,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.request = request
        self._cancel = cancel
        self._clock = clock
        self._stall_seconds = stall_seconds
        self._waiting: deque[EngineOutput] = deque()
        self._unread_since = clock()
        self._arrived = asyncio.Event()
        self._on_start: list[Callable[[], None]] = []
        self._on_output: list[Callable[[EngineOutput], None]] = []
        self._on_close: list[Callable[[], None]] = []
        self.last: RequestFinished | None = None  # the last output, once it has come
        self.is_closed = False

    @property
    def is_finished(self) -> bool:
        """The last output has come."""
        return self.last is not None

    @property
    def is_read(self) -> bool:
        """The last output has been read."""
        return self.is_finished and not self._waiting

    def push(self, output: EngineOutput) -> None:
        """Take an output from the engine. Never waits: a slow reader gets longer pieces."""
        if self.is_finished or self.is_closed:
            return
        for note in self._on_output:
            note(output)
        if not self._waiting:
            self._unread_since = self._clock()
        elif self._clock() - self._unread_since > self._stall_seconds:
            self.fail(RequestCancelled("The reader stalled.", "Read the stream as it arrives."))
            self._cancel()
            return
        self._waiting.append(output)
        if len(self._waiting) >= MAX_WAITING_OUTPUTS:
            self._waiting = deque(coalesce(self._waiting))
        if isinstance(output, RequestFinished):
            self.last = output
        self._arrived.set()
        if isinstance(output, RequestStarted):
            for action in self._on_start:
                action()

    def repeat(self, outputs: Iterable[EngineOutput]) -> None:
        """Take all outputs there will ever be, as they came when they were computed."""
        for output in outputs:
            self._waiting.append(output)
            if isinstance(output, RequestFinished):
                self.last = output
        self._arrived.set()

    def fail(self, error: Exception) -> None:
        """End the stream with `error`, whatever was still to come."""
        if self.is_finished:
            return
        self.last = failed(self.request.request_id, error)
        self._waiting.append(self.last)
        self._arrived.set()

    async def read(self) -> list[EngineOutput]:
        """Everything that has arrived, waiting for at least one. Not to be called once read."""
        if not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        outputs = list(self._waiting)
        self._waiting.clear()
        return outputs

    async def __aiter__(self) -> AsyncIterator[EngineOutput]:
        """Each output in turn. Raises the request's error, if it has one, after its last output."""
        while True:
            for output in await self.read():
                yield output
                if isinstance(output, RequestFinished):
                    if output.error is not None:
                        raise output.error
                    return

    def on_start(self, action: Callable[[], None]) -> None:
        """Run `action` when the engine takes the request up, or now if that is unread."""
        if any(isinstance(output, RequestStarted) for output in self._waiting):
            action()
        self._on_start.append(action)

    def on_output(self, action: Callable[[EngineOutput], None]) -> None:
        """Run `action` with each output of the engine, also those that nobody has read yet."""
        for output in self._waiting:
            action(output)
        self._on_output.append(action)

    def on_close(self, action: Callable[[], None]) -> None:
        """Run `action` once when the stream is closed."""
        self._on_close.append(action)

    def close(self) -> None:
        """Give the stream up; an unfinished request is cancelled. Closing twice is harmless."""
        if self.is_closed:
            return
        self.is_closed = True
        if not self.is_finished:
            self._cancel()
        for action in self._on_close:
            action()


def failed(request_id: str, error: Exception) -> RequestFinished:
    """The last word on a request that came to nothing."""
    return RequestFinished(
        request_id=request_id,
        num_prompt_tokens=0,
        num_completion_tokens=0,
        timings=Timings(),
        error=error,
    )
