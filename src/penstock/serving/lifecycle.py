"""Brings models up and down, and knows the state of each. Lives on the event loop.

One load runs at a time. Knows no tensors and no HTTP.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from penstock.errors import ModelUnavailable, PenstockError
from penstock.serving.launching import Launcher, RunningModel, ThreadLauncher
from penstock.serving.memory import free_memory
from penstock.serving.models import ModelCard, ModelSource, ModelState, ServedModel
from penstock.serving.upkeep import HEALTHY_SECONDS, Holder, Rules, pause_before_restart, victims

logger = logging.getLogger(__name__)

DEFAULT_RULES = Rules()
ROUND_SECONDS = 1.0  # between two looks at what is idle or hangs


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model's card with its state now."""

    card: ModelCard
    state: ModelState
    error: str | None
    model: ServedModel | None


@dataclass(slots=True)
class _Loaded:
    """A running model with what its upkeep must know. Owned by the lifecycle."""

    running: RunningModel
    loaded_at: float
    used_at: float


class Lifecycle:
    """Owns the workers: which model is loaded, which is on its way, and why one is not."""

    def __init__(
        self,
        source: ModelSource,
        launcher: Launcher | None = None,
        *,
        rules: Rules = DEFAULT_RULES,
        free: Callable[[], int] = free_memory,
    ) -> None:
        self._source = source
        self._launcher = launcher or ThreadLauncher(source)
        self._rules = rules
        self._free = free
        self._asked_for: dict[str, ModelCard] = {}
        self._preloaded: set[str] = set()
        self._loaded: dict[str, _Loaded] = {}
        self._loads: dict[str, asyncio.Task[RunningModel]] = {}
        self._errors: dict[str, str] = {}
        self._crashes: dict[str, int] = {}  # in a row
        self._one_at_a_time = asyncio.Lock()
        self._rounds: asyncio.Task[None] | None = None

    def preload(self, names: Iterable[str]) -> None:
        """Start loading models in the background. Their failures show in `statuses`.

        They stay loaded until somebody asks for their unloading.
        """
        for name in names:
            card = self._source.find(name)
            self._preloaded.add(card.id)
            self._load_task(card)

    def find(self, name: str) -> ModelCard:
        """The card of the model a name stands for. Raises `ModelNotFound`."""
        return self._source.find(name)

    @property
    def loaded(self) -> Sequence[str]:
        """The ids of the models that can answer at once."""
        return tuple(self._loaded)

    def stuck(self, *, after_seconds: float) -> Sequence[str]:
        """The models whose engines have work and do nothing."""
        return tuple(
            name
            for name, loaded in self._loaded.items()
            if loaded.running.client.is_stuck(after_seconds=after_seconds)
        )

    def state(self, name: str) -> ModelState:
        """The state of the model a name stands for."""
        return self._status(self._source.find(name)).state

    def status(self, name: str) -> ModelStatus:
        """All that is known now of the model a name stands for."""
        return self._status(self._source.find(name))

    def statuses(self) -> list[ModelStatus]:
        """Every model that can be named or was asked for, with its state."""
        cards = self._asked_for | {card.id: card for card in self._source.cards()}
        return [self._status(card) for card in cards.values()]

    async def running(self, name: str) -> RunningModel:
        """The model a name stands for, loaded first if its files are here."""
        loaded = self._loaded.get(name)
        if loaded is None:
            card = self._source.find(name)
            loaded = self._loaded.get(card.id)
        if loaded is not None:
            loaded.used_at = time.monotonic()
            return loaded.running
        _refuse_absent(card)
        return await self._wait_for(self._load_task(card), card)

    async def unload(self, name: str) -> None:
        """Give a model's memory back, or stop its loading. Its requests are told so."""
        card = self._source.find(name)
        load = self._loads.get(card.id)
        if load is not None:
            load.cancel()
            await asyncio.wait([load])
        await self._unload(card.id)

    async def close(self) -> None:
        """Stop every worker. A load that is under way is abandoned."""
        tasks = [*self._loads.values(), *([self._rounds] if self._rounds else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*map(self._unload, list(self._loaded)))
        self._launcher.close()

    async def _wait_for(self, load: asyncio.Task[RunningModel], card: ModelCard) -> RunningModel:
        """The load's result. Whoever gives up waiting does not stop it."""
        try:
            return await asyncio.shield(load)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if load.cancelled() and task is not None and not task.cancelling():
                raise ModelUnavailable(
                    f"The loading of {card.id} was stopped.", "Ask for it again.", param="model"
                ) from None
            raise

    def _load_task(
        self, card: ModelCard, *, pause_seconds: float = 0.0
    ) -> asyncio.Task[RunningModel]:
        task = self._loads.get(card.id)
        if task is None:
            self._asked_for[card.id] = card
            task = asyncio.create_task(self._load(card, pause_seconds), name=f"load-{card.id}")
            self._loads[card.id] = task
            task.add_done_callback(lambda task: self._end_load(card, task))
        return task

    async def _load(self, card: ModelCard, pause_seconds: float) -> RunningModel:
        self._errors.pop(card.id, None)
        try:
            await asyncio.sleep(pause_seconds)
            async with self._one_at_a_time:
                await self._make_room(card)
                running = await self._launcher.launch(card.id, lambda: self._take_death(card))
        except Exception as error:
            self._errors[card.id] = _reason(error)
            raise _as_own(error, card) from error
        now = time.monotonic()
        self._loaded[card.id] = _Loaded(running, loaded_at=now, used_at=now)
        self._rounds = self._rounds or asyncio.create_task(self._go_round(), name="upkeep")
        logger.info("Model %s is loaded.", card.id)
        return running

    def _end_load(self, card: ModelCard, task: asyncio.Task[RunningModel]) -> None:
        """A failure nobody waits for is told by `statuses`; asyncio need not complain of it."""
        del self._loads[card.id]
        if not task.cancelled():
            task.exception()

    async def _unload(self, model_id: str) -> None:
        loaded = self._loaded.pop(model_id, None)
        if loaded is not None:
            await loaded.running.client.close()
            logger.info("Model %s is unloaded.", model_id)

    async def _make_room(self, card: ModelCard) -> None:
        """Unload what was not used for longest, or refuse, before anything is read."""
        needed = await asyncio.to_thread(self._launcher.needed_bytes, card.id)
        if needed == 0:
            return
        loaded = list(self._loaded.items())
        holders = await asyncio.to_thread(lambda: [self._holder(*item) for item in loaded])
        available = self._free()
        if self._rules.memory_bytes is not None:
            left = self._rules.memory_bytes - sum(holder.num_bytes for holder in holders)
            available = max(0, min(available, left))
        for name in victims(card.id, needed, available, holders):
            logger.info("Model %s makes room for %s.", name, card.id)
            await self._unload(name)

    def _holder(self, name: str, loaded: _Loaded) -> Holder:
        client = loaded.running.client
        return Holder(
            name=name,
            num_bytes=client.memory_bytes,
            used_at=loaded.used_at,
            may_go=name not in self._preloaded and client.num_open == 0,
        )

    def _take_death(self, card: ModelCard) -> None:
        """A worker ended by itself: start it again, later each time it happens in a row."""
        loaded = self._loaded.pop(card.id, None)
        if loaded is None:
            return  # it was still loading, and the load tells
        has_lived = time.monotonic() - loaded.loaded_at > HEALTHY_SECONDS
        num_crashes = 1 if has_lived else self._crashes.get(card.id, 0) + 1
        self._crashes[card.id] = num_crashes
        pause = pause_before_restart(num_crashes)
        logger.error("The worker of %s died; it is started again in %.1f s.", card.id, pause)
        self._load_task(card, pause_seconds=pause)

    async def _go_round(self) -> None:
        """Now and then end what hangs and unload what nobody uses."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            for name in self.stuck(after_seconds=self._rules.hang_seconds):
                logger.error("The engine of %s does not move; it is ended.", name)
                self._loaded[name].running.client.kill()
            for name in self._idle():
                logger.info("Model %s was not used for a while.", name)
                with contextlib.suppress(PenstockError):
                    await self._unload(name)

    def _idle(self) -> list[str]:
        keep_alive = self._rules.keep_alive_seconds
        if keep_alive is None:
            return []
        now = time.monotonic()
        idle: list[str] = []
        for name, loaded in self._loaded.items():
            if loaded.running.client.num_open:
                loaded.used_at = now
            elif name not in self._preloaded and now - loaded.used_at > keep_alive:
                idle.append(name)
        return idle

    def _status(self, card: ModelCard) -> ModelStatus:
        loaded = self._loaded.get(card.id)
        error = self._errors.get(card.id)
        if loaded is not None:
            return ModelStatus(card, ModelState.LOADED, None, loaded.running.model)
        if card.id in self._loads:
            return ModelStatus(card, ModelState.LOADING, None, None)
        state = ModelState.AVAILABLE if error is None else ModelState.FAILED
        return ModelStatus(card, state, error, None)


def _refuse_absent(card: ModelCard) -> None:
    if not card.local:
        raise ModelUnavailable(
            f"The files of {card.id} are not on this machine.",
            f"Fetch them with `penstock models pull {card.id}`.",
            param="model",
        )


def _as_own(error: Exception, card: ModelCard) -> PenstockError:
    """What a client is told of a load that failed; the unforeseen is in the log."""
    if isinstance(error, PenstockError):
        logger.warning("Model %s is not loaded: %s", card.id, error)
        return error
    logger.error("Loading %s failed.", card.id, exc_info=error)
    return ModelUnavailable(
        f"{card.id} could not be loaded: {_reason(error)}.",
        "The server's log has the details.",
        param="model",
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
