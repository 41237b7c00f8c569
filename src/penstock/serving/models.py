"""What the server knows of a model, loaded or not, and where models come from.

Knows no tensors: a model is a description and, once loaded, an engine kit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from penstock.model.dtypes import Dtype
from penstock.model.hub_progress import Progress
from penstock.serving.engine_thread import EngineKit


class ModelState(StrEnum):
    """Where a model is on its way from a name to an engine."""

    AVAILABLE = "available"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What can be said of a model without loading it."""

    id: str
    label: str
    family: str
    description: str
    num_parameters: int | None
    context_length: int | None
    hub_id: str | None = None
    aliases: tuple[str, ...] = ()
    builtin: bool = False
    disk_bytes: int | None = None
    memory_bytes: int | None = None
    licence: str | None = None
    local: bool = False  # its files are here
    lineage: Mapping[str, Any] | None = None  # of a tuned model: what it came from
    embeds: bool | None = None  # whether it can turn texts into vectors; none until that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """What requests to a loaded model must know of it."""

    id: str
    context_length: int
    hidden_size: int | None  # none where it does not tell its hidden states
    num_parameters: int
    dtype: str
    num_bytes: int
    weights_digest: str
    config_digest: str = ""  # of its configuration and its tokenizer
    ops: str = ""  # the implementation that computes it
    continues_prompt: bool = True  # an encoder-decoder answers it with a text of its own
    draft: str | None = None  # the model that drafts for it


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A model that was loaded in this process, with what runs it."""

    model: ServedModel
    kit: EngineKit[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingOptions:
    """How models are loaded and run."""

    num_threads: int
    data_dir: Path | None = None  # models placed by hand lie in its `models` folder
    dtype: Dtype = "float32"
    max_batch_tokens: int = 256
    max_sequences: int = 64
    cache_bytes: int = 1 << 30
    prefix_cache: bool = True
    watermark_key: int | None = field(default=None, repr=False)
    max_wait_seconds: float | None = None
    adapter_folders: tuple[Path, ...] = ()  # besides those in its `adapters` folder
    adapter_bytes: int = 256 * 2**20
    drafts: tuple[tuple[str, str], ...] = ()  # model, the model that drafts for it


@dataclass(frozen=True, slots=True)
class DraftPlan:
    """The smaller model that a worker loads beside its own, to draft for it."""

    model_id: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """All that a worker process must be told to load a model."""

    model_id: str
    folder: Path
    options: LoadingOptions
    draft: DraftPlan | None = None


class ModelSource(Protocol):
    """Where models come from: the catalog on disk, or a test's."""

    def cards(self) -> Sequence[ModelCard]:
        """Every model that can be named, the built-in one first."""

    def find(self, name: str) -> ModelCard:
        """The model that answers to an id, alias, hub id or folder. Raises `ModelNotFound`."""

    def load(self, model_id: str) -> HostedModel:
        """Bring a model into the memory of this process. Slow; called on a thread."""

    def fetch(self, model_id: str, progress: Progress) -> None:
        """Bring a model's files to this machine. Slow; called on a thread.

        An exception from `progress` stops it; what has arrived is used by the next time.
        """

    def remove(self, model_id: str) -> int:
        """Remove the files that were fetched; how many bytes that gave back. Called on a thread."""
