"""The models that are loaded: who uses them, who has to go, and what their workers need.

Lives on the event loop. Knows no catalog and starts nothing; see `lifecycle.py`.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from penstock.serving.launching import RunningModel
from penstock.serving.upkeep import Holder, Rules, allowed_seconds, has_outstayed, room, victims

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadedModel:
    """A running model with what its upkeep must know. Owned by `LoadedModels`."""

    running: RunningModel
    loaded_at: float
    used_at: float
    keep_alive_seconds: float | None = None  # as a request set it; none: the operator's

    @property
    def num_open(self) -> int:
        """How many requests and questions to it are under way."""
        return self.running.client.num_open


class LoadedModels:
    """Owns the workers, from the end of their loading until their processes are gone.

    A `kept` model goes only when somebody asks for it: not for being idle, nor to make room. It is
    one no longer once a request has said how long it stays.
    """

    def __init__(self, rules: Rules, free: Callable[[], int]) -> None:
        self.kept: set[str] = set()
        self._rules = rules
        self._free = free
        self._loaded: dict[str, LoadedModel] = {}
        self._unloads: dict[str, asyncio.Task[None]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def get(self, model_id: str) -> LoadedModel | None:
        """The model, if it can answer at once."""
        return self._loaded.get(model_id)

    def add(self, model_id: str, running: RunningModel) -> None:
        """Take a model that has just been loaded."""
        now = time.monotonic()
        self._loaded[model_id] = LoadedModel(running, loaded_at=now, used_at=now)

    def drop(self, model_id: str) -> LoadedModel | None:
        """Forget a model whose worker is gone already."""
        return self._loaded.pop(model_id, None)

    def keep(self, model_id: str, keep_alive_seconds: float) -> None:
        """Let a model stay so long without a request. Infinity leaves one that is kept so."""
        self._loaded[model_id].keep_alive_seconds = keep_alive_seconds
        if keep_alive_seconds < math.inf:
            self.kept.discard(model_id)

    def seconds_left(self, model_id: str) -> float:
        """How long the model stays if nobody asks it; infinity where nothing bounds that."""
        loaded = self._loaded[model_id]
        allowed = allowed_seconds(loaded.keep_alive_seconds, self._rules)
        if allowed is None or model_id in self.kept:
            return math.inf
        idle = 0.0 if loaded.num_open else time.monotonic() - loaded.used_at
        return max(0.0, allowed - idle)

    def is_unloading(self, model_id: str) -> bool:
        """Its worker was told to stop and has not gone yet."""
        return model_id in self._unloads

    def stuck(self, *, after_seconds: float) -> tuple[str, ...]:
        """The models whose engines have work and do nothing."""
        return tuple(
            name
            for name, loaded in self._loaded.items()
            if loaded.running.client.is_stuck(after_seconds=after_seconds)
        )

    async def unload(self, model_id: str) -> None:
        """Until the model's worker is gone. Whoever gives up waiting does not stop that."""
        self._start_unloading(model_id)
        leaving = self._unloads.get(model_id)
        if leaving is not None:
            await asyncio.shield(leaving)

    async def close(self) -> None:
        """Stop every worker."""
        await asyncio.gather(*map(self.unload, {*self._loaded, *self._unloads}))

    async def make_room(self, model_id: str, needed: int) -> None:
        """Unload what was not used for longest until so many bytes are free.

        Raises `NotEnoughMemory` when that would not do.
        """
        if self._unloads:
            await asyncio.wait(self._unloads.values())  # their memory is about to come back
        while needed and (victim := await self._first_victim(model_id, needed)) is not None:
            logger.info("Model %s makes room for %s.", victim, model_id)
            await self.unload(victim)

    def go_round(self) -> None:
        """End what hangs, and unload what nobody uses."""
        for name in self.stuck(after_seconds=self._rules.hang_seconds):
            logger.error("The engine of %s does not move; it is ended.", name)
            self._loaded[name].running.client.kill()
        for name in self._idle():
            logger.info("Model %s was not used for a while.", name)
            self._start_unloading(name)

    def _start_unloading(self, model_id: str) -> None:
        loaded = self._loaded.pop(model_id, None)
        if loaded is not None:
            task = asyncio.create_task(loaded.running.client.close(), name=f"unload-{model_id}")
            self._unloads[model_id] = task
            task.add_done_callback(lambda task: self._end_unloading(model_id, task))

    def _end_unloading(self, model_id: str, task: asyncio.Task[None]) -> None:
        del self._unloads[model_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("Unloading %s failed.", model_id, exc_info=error)
            return
        logger.info("Model %s is unloaded.", model_id)

    async def _first_victim(self, model_id: str, needed: int) -> str | None:
        """The model to unload next so that this one fits; none if it fits.

        Measuring takes its time: who is busy is looked at after it, not before.
        """
        clients = {name: loaded.running.client for name, loaded in self._loaded.items()}
        sizes = await asyncio.to_thread(
            lambda: {name: client.memory_bytes for name, client in clients.items()}
        )
        holders = [
            Holder(
                name=name,
                num_bytes=sizes[name],
                used_at=loaded.used_at,
                may_go=name not in self.kept and not loaded.num_open,
            )
            for name, loaded in self._loaded.items()
            if name in sizes
        ]
        space = room(self._free(), sum(holder.num_bytes for holder in holders), self._rules)
        return next(iter(victims(model_id, needed, space, holders)), None)

    def _idle(self) -> list[str]:
        now = time.monotonic()
        idle: list[str] = []
        for name, loaded in self._loaded.items():
            if loaded.num_open:
                loaded.used_at = now
            elif name not in self.kept and has_outstayed(
                now - loaded.used_at, loaded.keep_alive_seconds, self._rules
            ):
                idle.append(name)
        return idle
