"""Brings models up and down, and knows the state of each. Lives on the event loop.

One load runs at a time. Knows no tensors and no HTTP.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from penstock.errors import ModelBusy, ModelUnavailable
from penstock.serving.downloads import Downloads, Following
from penstock.serving.launching import Launcher, RunningModel, ThreadLauncher
from penstock.serving.loaded_models import LoadedModels
from penstock.serving.memory import free_memory
from penstock.serving.model_states import ModelStatus, as_own, reason, refuse_absent
from penstock.serving.models import ModelCard, ModelSource, ModelState
from penstock.serving.upkeep import (
    HEALTHY_SECONDS,
    Rules,
    check_keep_alive,
    pause_before_restart,
)

logger = logging.getLogger(__name__)

DEFAULT_RULES = Rules()
ROUND_SECONDS = 1.0  # between two looks at what is idle or hangs


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
        self._asked_for: dict[str, ModelCard] = {}
        self._loaded = LoadedModels(rules, free)
        self._loads: dict[str, asyncio.Task[RunningModel]] = {}
        self._downloads = Downloads(source.fetch)
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
            self._loaded.kept.add(card.id)
            self._load_task(card)

    def find(self, name: str) -> ModelCard:
        """The card of the model a name stands for. Raises `ModelNotFound`."""
        return self._source.find(name)

    @property
    def loaded(self) -> Sequence[str]:
        """The ids of the models that can answer at once."""
        return tuple(self._loaded)

    @property
    def preloaded(self) -> frozenset[str]:
        """The ids of the models that are to be loaded all the time."""
        return frozenset(self._loaded.kept)

    def stuck(self, *, after_seconds: float) -> Sequence[str]:
        """The models whose engines have work and do nothing."""
        return self._loaded.stuck(after_seconds=after_seconds)

    def state(self, name: str) -> ModelState:
        """The state of the model a name stands for."""
        return self._status(self._source.find(name)).state

    def status(self, name: str) -> ModelStatus:
        """All that is known now of the model a name stands for."""
        return self._status(self._source.find(name))

    def statuses(self) -> list[ModelStatus]:
        """Every model that can be named or was asked for, with its state.

        A name that has gone over to another model, as a tuned one's does, is told there alone.
        """
        known = {card.id: card for card in self._source.cards()}
        taken = {alias for card in known.values() for alias in card.aliases}
        asked_for = {
            name: replace(card, aliases=tuple(a for a in card.aliases if a not in taken))
            for name, card in self._asked_for.items()
        }
        return [self._status(card) for card in (asked_for | known).values()]

    def peek(self, model_id: str) -> RunningModel | None:
        """A model that is loaded now. Does not count as using it."""
        loaded = self._loaded.get(model_id)
        return None if loaded is None else loaded.running

    async def running(self, name: str, *, keep_alive_seconds: float | None = None) -> RunningModel:
        """The model a name stands for, loaded first if its files are here.

        A keep-alive says how long it stays without a request, and holds until another is given.
        A finite one holds for a model of the start too, which then is like any other.
        """
        check_keep_alive(keep_alive_seconds, self._rules)
        loaded = self._loaded.get(name)
        if loaded is None:
            card = self._source.find(name)
            loaded = self._loaded.get(card.id)
        while loaded is None:
            refuse_absent(card)
            await self._wait_for(self._load_task(card), card)
            loaded = self._loaded.get(card.id)  # none if it was unloaded at once
        loaded.used_at = time.monotonic()
        if keep_alive_seconds is not None:
            self._loaded.keep(loaded.running.model.id, keep_alive_seconds)
        return loaded.running

    async def release(self, name: str) -> None:
        """Unload a model once no request to it is under way: at once if none is."""
        check_keep_alive(0.0, self._rules)
        card = self._source.find(name)
        loaded = self._loaded.get(card.id)
        if loaded is None:
            refuse_absent(card)
        elif loaded.num_open:
            self._loaded.keep(card.id, 0.0)
        else:
            await self.unload(card.id)

    def seconds_left(self, model_id: str) -> float:
        """How long a loaded model stays if nobody asks it; infinity for as long as it likes."""
        return self._loaded.seconds_left(model_id)

    def refuse_busy(self, name: str) -> None:
        """Raise `ModelBusy` while requests to the model are under way."""
        model_id = self._source.find(name).id
        loaded = self._loaded.get(model_id)
        if loaded is not None and loaded.num_open:
            requests = "1 request" if loaded.num_open == 1 else f"{loaded.num_open} requests"
            raise ModelBusy(
                f"{model_id} has {requests} under way.",
                'Unload it once they are answered, or send {"force": true} to end them.',
                param="model",
            )

    async def unload(self, name: str) -> None:
        """Give a model's memory back, or stop its loading. Its requests are told so."""
        card = self._source.find(name)
        self._loaded.kept.discard(card.id)
        load = self._loads.get(card.id)
        if load is not None:
            load.cancel()
            await asyncio.wait([load])
        self._errors.pop(card.id, None)
        await self._loaded.unload(card.id)

    def pull(self, name: str) -> Following:
        """Fetch a model's files, or join who does so already. Must be closed."""
        card = self._source.find(name)
        self._asked_for[card.id] = card
        return self._downloads.follow(card.id)

    async def remove(self, name: str) -> int:
        """Remove the files of a model that were fetched; how many bytes that gave back.

        Raises `ModelBusy` while it is loaded or on its way.
        """
        card = self._source.find(name)
        async with self._one_at_a_time:  # no load finds half a model
            state = self._status(card).state
            if state not in (ModelState.AVAILABLE, ModelState.FAILED):
                hint = "Stop it first." if state is ModelState.DOWNLOADING else "Unload it first."
                raise ModelBusy(f"{card.id} is {state.value}.", hint, param="model")
            num_bytes = await asyncio.to_thread(self._source.remove, card.id)
        self._errors.pop(card.id, None)
        return num_bytes

    async def close(self) -> None:
        """Stop every worker. A load that is under way is abandoned."""
        tasks = [*self._loads.values(), *([self._rounds] if self._rounds else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loaded.close()
        await self._downloads.close()
        self._launcher.close()

    async def _wait_for(self, load: asyncio.Task[RunningModel], card: ModelCard) -> None:
        """Until the load has ended well. Whoever gives up waiting does not stop it."""
        try:
            await asyncio.shield(load)
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
                needed = await asyncio.to_thread(self._launcher.needed_bytes, card.id)
                await self._loaded.make_room(card.id, needed)
                running = await self._launcher.launch(card.id, lambda: self._take_death(card))
        except Exception as error:
            self._errors[card.id] = reason(error)
            raise as_own(error, card) from error
        self._loaded.add(card.id, running)
        self._rounds = self._rounds or asyncio.create_task(self._go_round(), name="upkeep")
        logger.info("Model %s is loaded.", card.id)
        return running

    def _end_load(self, card: ModelCard, task: asyncio.Task[RunningModel]) -> None:
        """A failure nobody waits for is told by `statuses`; asyncio need not complain of it."""
        del self._loads[card.id]
        if not task.cancelled():
            task.exception()

    def _take_death(self, card: ModelCard) -> None:
        """A worker ended by itself: start it again, later each time it happens in a row."""
        loaded = self._loaded.drop(card.id)
        if loaded is None:
            return  # it was still loading, and the load tells
        has_lived = time.monotonic() - loaded.loaded_at > HEALTHY_SECONDS
        num_crashes = 1 if has_lived else self._crashes.get(card.id, 0) + 1
        self._crashes[card.id] = num_crashes
        pause = pause_before_restart(num_crashes)
        logger.error("The worker of %s died; it is started again in %.1f s.", card.id, pause)
        self._load_task(card, pause_seconds=pause)

    async def _go_round(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            self._loaded.go_round()

    def _status(self, card: ModelCard) -> ModelStatus:
        loaded = self._loaded.get(card.id)
        if loaded is not None:
            return ModelStatus(card, ModelState.LOADED, None, loaded.running.model)
        if card.id in self._loads:
            return ModelStatus(card, ModelState.LOADING, None)
        if self._loaded.is_unloading(card.id):
            return ModelStatus(card, ModelState.UNLOADING, None)
        if card.id in self._downloads:
            progress = self._downloads.progress(card.id)
            return ModelStatus(card, ModelState.DOWNLOADING, None, download=progress)
        error = self._errors.get(card.id) or self._downloads.error(card.id)
        state = ModelState.AVAILABLE if error is None else ModelState.FAILED
        return ModelStatus(card, state, error)
