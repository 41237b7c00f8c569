"""Asks the lines of batches, a few at a time over all of them. Knows no database.

What the server refuses because it is full is asked again later, as a patient client would.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from penstock.jobs.batches.batch import Batch
from penstock.jobs.batches.lines import Line
from penstock.jobs.batches.results import Answer

Ask = Callable[[str, str, bytes], Awaitable[Answer]]  # whose, the endpoint and the JSON
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
        self, batch: Batch, lines: Iterable[Line], tell: Callable[[Line, Answer], None]
    ) -> None:
        """Ask every line and tell each answer as it comes, in any order."""
        async with asyncio.TaskGroup() as group:
            for line in lines:
                await self._places.acquire()
                task = group.create_task(self._ask_one(batch, line, tell))
                task.add_done_callback(lambda _: self._places.release())

    async def ask(self, owner: str, endpoint: str, body: bytes) -> Answer:
        """Ask one request on an owner's behalf, in a place of its own."""
        async with self._places:
            return await self._ask_patiently(owner, endpoint, body)

    async def _ask_one(
        self, batch: Batch, line: Line, tell: Callable[[Line, Answer], None]
    ) -> None:
        tell(line, await self._ask_patiently(batch.owner, batch.endpoint, line.body))

    async def _ask_patiently(self, owner: str, endpoint: str, body: bytes) -> Answer:
        num_attempts = 0
        pause = FIRST_PAUSE_SECONDS
        while True:
            answer = await self._ask(owner, endpoint, body)
            is_full = answer.status == 429 or answer.code in FULL
            num_attempts += not is_full
            if not is_full and (answer.status < 500 or num_attempts == MAX_ATTEMPTS):
                return answer
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
