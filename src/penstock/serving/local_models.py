"""Models from folders of this machine, run by the engine in this process.

What computes is imported when a model is loaded, not before: a server answers while torch loads.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from penstock.errors import ModelUnavailable, PenstockError
from penstock.model.catalog import (
    CATALOG,
    EMBEDDING_FAMILIES,
    UNKNOWN_FAMILY,
    CatalogEntry,
    find,
    find_configured,
)
from penstock.model.folder import read_config
from penstock.model.hub import download, local_folder, remove_download
from penstock.model.hub_cache import hub_access
from penstock.model.hub_progress import Progress
from penstock.model.tuned import TunedModels
from penstock.serving.footprint import footprint
from penstock.serving.models import DraftPlan, HostedModel, LoadingOptions, LoadPlan, ModelCard


class LocalModels:
    """The catalog and the folders an operator named. A request's name only looks these up."""

    def __init__(
        self, configured: Sequence[str], options: LoadingOptions, *, hf_token: str | None = None
    ) -> None:
        self._options = options
        self._access = hub_access(data_dir=options.data_dir, token=hf_token)
        self._tuned = TunedModels(options.data_dir)
        named = [name for name in configured if self._tuned.find(name) is None]
        self._configured = {name: find_configured(name) for name in named}
        self._drafts = {
            self._named(target).id: self._named(draft) for target, draft in options.drafts
        }
        self._by_id = {entry.id: entry for entry in (*CATALOG, *self._configured.values())}

    def cards(self) -> list[ModelCard]:
        """Every model that can be named; of tuned models the current version."""
        return [self._card(entry) for entry in (*self._by_id.values(), *self._tuned.current())]

    def find(self, name: str) -> ModelCard:
        """The model that answers to a name."""
        return self._card(self._entry(name))

    def plan(self, model_id: str) -> LoadPlan:
        """What to load for a model whose files are here."""
        entry = self._entry(model_id)
        draft = self._drafts.get(entry.id)
        return LoadPlan(
            model_id=entry.id,
            folder=self._folder(entry),
            options=self._options,
            draft=None if draft is None else DraftPlan(draft.id, self._folder(draft)),
        )

    def _folder(self, entry: CatalogEntry) -> Path:
        folder = local_folder(entry, self._access)
        if folder is None:
            raise ModelUnavailable(
                f"The files of {entry.id} are not on this machine.",
                f"Fetch them with `penstock models pull {entry.id}`.",
                param="model",
            )
        return folder

    def needed_bytes(self, model_id: str) -> int:
        """About how much memory a worker process for this model takes. Reads headers only."""
        return footprint(self.plan(model_id))

    def load(self, model_id: str) -> HostedModel:
        """Load a model whose files are here. Slow."""
        from penstock.serving.local_engine import load_hosted_model  # noqa: PLC0415  # see above

        return load_hosted_model(self.plan(model_id))

    def fetch(self, model_id: str, progress: Progress) -> None:
        """Bring a model's files from the hub to this machine. Slow."""
        download(self._entry(model_id), progress, self._access)

    def remove(self, model_id: str) -> int:
        """Remove what was fetched of a model from the hub's cache."""
        return remove_download(self._entry(model_id), self._access)

    def _named(self, name: str) -> CatalogEntry:
        """The model that an operator named."""
        return self._tuned.find(name) or find_configured(name)

    def _entry(self, name: str) -> CatalogEntry:
        known = self._configured.get(name) or self._by_id.get(name)
        return known or self._tuned.find(name) or find(name)

    def _card(self, entry: CatalogEntry) -> ModelCard:
        folder = local_folder(entry, self._access)
        return ModelCard(
            id=entry.id,
            label=entry.label,
            family=entry.family,
            description=entry.description,
            num_parameters=entry.num_parameters,
            context_length=entry.context_length,
            hub_id=entry.hub_id,
            aliases=entry.aliases,
            builtin=entry.builtin,
            disk_bytes=entry.disk_bytes,
            memory_bytes=entry.memory_bytes(self._options.dtype),
            licence=entry.licence,
            local=folder is not None,
            lineage=entry.lineage,
            embeds=_embeds(entry, folder),
        )


def _embeds(entry: CatalogEntry, folder: Path | None) -> bool | None:
    """Whether the model can turn texts into vectors, by its catalog entry or its configuration."""
    family = entry.family
    if family == UNKNOWN_FAMILY and folder is not None:
        family = _model_type(folder)
    return None if family == UNKNOWN_FAMILY else family in EMBEDDING_FAMILIES


@lru_cache(maxsize=256)
def _model_type(folder: Path) -> str:
    """What the folder's configuration says it is; a broken one is told of when it is loaded."""
    try:
        return str(read_config(folder)["model_type"])
    except PenstockError:
        return UNKNOWN_FAMILY


def num_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
