"""Asks the lines of batches, a few at a time over all of them. Knows no database.

What the server refuses because it is full is asked again later, as a patient client would.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from penstock.jobs.batches.lines import Line
from penstock.jobs.batches.results import Answer

Ask = Callable[[str, bytes], Awaitable[Answer]]  # the endpoint and the request's JSON
FULL = frozenset({"server_is_overloaded", "server_is_shutting_down", "storage_unavailable"})
MAX_ATTEMPTS = 3  # at what fails inside the server, such as a model whose process was killed
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0


class Asker:
    """The places that all batches share."""

    def __init__(self, ask: Ask, *, num_places: int) -> None:
        self._ask = ask
        self._places = asyncio.Semaphore(num_places)

    async def ask_all(
        self, endpoint: str, lines: Iterable[Line], tell: Callable[[Line, Answer], None]
    ) -> None:
        """Ask every line and tell each answer as it comes, in any order."""
        async with asyncio.TaskGroup() as group:
            for line in lines:
                await self._places.acquire()
                task = group.create_task(self._ask_one(endpoint, line, tell))
                task.add_done_callback(lambda _: self._places.release())

    async def _ask_one(
        self, endpoint: str, line: Line, tell: Callable[[Line, Answer], None]
    ) -> None:
        num_attempts = 0
        pause = FIRST_PAUSE_SECONDS
        while True:
            answer = await self._ask(endpoint, line.body)
            is_full = answer.status == 429 or answer.code in FULL
            num_attempts += not is_full
            if not is_full and (answer.status < 500 or num_attempts == MAX_ATTEMPTS):
                tell(line, answer)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
