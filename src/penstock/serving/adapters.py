"""Which adapters there are and on which loaded models they are. Lives on the event loop."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.model.adapter_folder import AdapterCard, AdapterFolders
from penstock.serving.adapter_info import AdapterInfo
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.models import ModelCard

__all__ = ["AdapterFolders", "AdapterStatus", "Adapters"]


@dataclass(frozen=True, slots=True)
class AdapterStatus:
    """An adapter's card, and what it is on the loaded models that keep it, by their ids.

    `models` are those it was trained for, as far as names tell; none where no model has such a
    name: then any may be tried.
    """

    card: AdapterCard
    loaded: dict[str, AdapterInfo]
    models: tuple[str, ...] | None


class Adapters:
    """Asks the loaded models about their adapters, and has them load and drop some."""

    def __init__(self, lifecycle: Lifecycle, folders: AdapterFolders) -> None:
        self._lifecycle = lifecycle
        self._folders = folders

    async def statuses(self) -> list[AdapterStatus]:
        """All of them as they are now."""
        kept = {name: await self._kept_by(name) for name in self._lifecycle.loaded}
        cards = await asyncio.to_thread(self._folders.cards)
        models = [status.card for status in self._lifecycle.statuses()]
        return [_status(card, kept, models) for card in cards]

    async def status(self, name: str) -> AdapterStatus:
        """One of them. Raises `AdapterNotFound`."""
        self._folders.find(name)
        return next(status for status in await self.statuses() if status.card.name == name)

    async def load(self, name: str, model: str) -> AdapterStatus:
        """Have a model load it, the model first if need be."""
        self._folders.find(name)
        running = await self._lifecycle.running(model)
        await running.client.call("load_adapter", name)
        return await self.status(name)

    async def unload(self, name: str, model: str | None) -> AdapterStatus:
        """Have a model, or all, keep it no longer. Requests that have it go on to their end."""
        self._folders.find(name)
        wanted = None if model is None else self._lifecycle.find(model).id
        for model_id in self._lifecycle.loaded:
            running = self._lifecycle.peek(model_id)
            if running is not None and wanted in (None, model_id):
                await running.client.call("unload_adapter", name)
        return await self.status(name)

    async def _kept_by(self, model_id: str) -> dict[str, AdapterInfo]:
        running = self._lifecycle.peek(model_id)
        if running is None:
            return {}
        infos: Sequence[AdapterInfo] = await running.client.call("loaded_adapters")
        return {info.name: info for info in infos}


def _status(
    card: AdapterCard, kept: dict[str, dict[str, AdapterInfo]], models: Sequence[ModelCard]
) -> AdapterStatus:
    loaded = {model: infos[card.name] for model, infos in kept.items() if card.name in infos}
    return AdapterStatus(card, loaded, models_for(card.base_model, models))


def models_for(base_model: str | None, models: Sequence[ModelCard]) -> tuple[str, ...] | None:
    """The ids of the models that an adapter's `base_model` may mean; none if it says nothing here.

    It is a name of the hub, an id, or a path whose last part is the model's own name.
    """
    if base_model is None:
        return None
    last = _last_part(base_model)
    found = tuple(model.id for model in models if last in map(_last_part, _names_of(model)))
    return found or None


def _names_of(model: ModelCard) -> tuple[str, ...]:
    return (model.id, *model.aliases, *(() if model.hub_id is None else (model.hub_id,)))


def _last_part(name: str) -> str:
    return name.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1].lower()
