"""Writes down each request that has ended, after its answer and beside the next ones.

What has ended meanwhile is one transaction: the sums of what was used and the texts, both or
neither. Lives on the event loop.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penstock.accounts.limits.limits import day_of
from penstock.accounts.usage import UsageRow, UsageStore
from penstock.errors import StorageUnavailable
from penstock.serving.observing import Ended, Outcome
from penstock.serving.records.history import HistoryStore, Kept
from penstock.storage.database import Storage

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5  # so that many short requests are one transaction
RETRY_SECONDS = 2.0
MAX_WAITING = 10_000  # while the database does not serve; then the oldest texts are let go
MAX_AT_ONCE = 500
LOCAL_OWNER = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is to be written of one request."""

    usage: UsageRow
    kept: Kept | None


MakeKept = Callable[[Ended, float], Kept | None]


class Ledger:
    """An observer of requests that have ended. `start` on the event loop, then `close`."""

    def __init__(
        self,
        storage: Storage,
        usage: UsageStore,
        history: HistoryStore,
        make_kept: MakeKept,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._storage = storage
        self._usage = usage
        self._history = history
        self._make_kept = make_kept
        self._clock = clock
        self._waiting: deque[Record] = deque()
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def __call__(self, ended: Ended) -> None:
        """Take note of a request; never waits."""
        now = self._clock()
        self._waiting.append(Record(usage=usage_of(ended, now), kept=self._make_kept(ended, now)))
        self._arrived.set()
        if len(self._waiting) > MAX_WAITING and not self._writing.locked():
            self._let_go()

    def start(self) -> None:
        """Begin to write."""
        self._task = self._task or asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Write what there is and stop. Closing twice is harmless."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        try:
            await self.flush()
        except StorageUnavailable:
            logger.warning("%d requests were not written down.", len(self._waiting))

    async def flush(self) -> None:
        """Write what has ended until now. Raises `StorageUnavailable`."""
        # Once begun it is finished, so that being cancelled writes nothing twice.
        await asyncio.shield(self._write_all())

    async def _write_all(self) -> None:
        async with self._writing:
            while self._waiting:
                await self._write_some()

    async def _write_some(self) -> None:
        records = [self._waiting[place] for place in range(min(len(self._waiting), MAX_AT_ONCE))]
        async with self._storage.writing() as connection:
            await self._usage.add(connection, added_up(record.usage for record in records))
            await self._history.insert(connection, [r.kept for r in records if r.kept is not None])
        for _ in records:
            self._waiting.popleft()

    async def _write_on(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                await self.flush()
            except StorageUnavailable:
                self._arrived.set()  # nothing is lost; it is tried again
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)

    def _let_go(self) -> None:
        """Keep the sums of the oldest, and not their texts."""
        logger.warning("The database does not serve; the oldest texts are not kept.")
        records = list(self._waiting)
        half = len(records) // 2
        sums = added_up(record.usage for record in records[:half])
        self._waiting = deque([Record(usage=row, kept=None) for row in sums] + records[half:])


def usage_of(ended: Ended, now: float) -> UsageRow:
    """What one request adds."""
    used = ended.used
    return UsageRow(
        owner=ended.caller.owner or LOCAL_OWNER,
        day=day_of(now),
        model=ended.model_id[:255],
        key_id=ended.caller.key_id,
        num_requests=1,
        num_unfinished=int(ended.outcome in (Outcome.CANCELLED, Outcome.FAILED)),
        prompt_tokens=used.prompt_tokens,
        completion_tokens=used.completion_tokens,
    )


def added_up(rows: Iterable[UsageRow]) -> list[UsageRow]:
    """One row for each owner, day, model and key."""
    sums: dict[tuple[str, str, str, str], list[int]] = {}
    for row in rows:
        place = sums.setdefault((row.owner, row.day, row.model, row.key_id), [0, 0, 0, 0])
        for at, number in enumerate(
            (row.num_requests, row.num_unfinished, row.prompt_tokens, row.completion_tokens)
        ):
            place[at] += number
    return [
        UsageRow(
            owner=owner,
            day=day,
            model=model,
            key_id=key_id,
            num_requests=numbers[0],
            num_unfinished=numbers[1],
            prompt_tokens=numbers[2],
            completion_tokens=numbers[3],
        )
        for (owner, day, model, key_id), numbers in sums.items()
    ]
