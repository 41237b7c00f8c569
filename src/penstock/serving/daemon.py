"""Runs a slow function on a thread that does not keep the process alive. Knows nothing else."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def on_daemon_thread(function: Callable[[], T], *, name: str) -> T:
    """The function's result. When nobody waits for it any more, it is left to run on."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            settle = _result(result, function())
        except BaseException as error:
            settle = _exception(result, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await result


def _result(future: "asyncio.Future[T]", value: T) -> Callable[[], None]:
    return lambda: None if future.cancelled() else future.set_result(value)


def _exception(future: "asyncio.Future[T]", error: BaseException) -> Callable[[], None]:
    return lambda: None if future.cancelled() else future.set_exception(error)
