"""Which models there are and what they are called; knows nothing of files, network or tensors.

A name in a request only ever looks an entry up: it is never made part of a path.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.errors import ModelNotFound
from penstock.model.dtypes import Dtype, packed_bytes
from penstock.model.folder import CONFIG_FILE, read_config

DEFAULT_REVISION = "main"
# The keys of `families.FAMILIES`, told without torch; a test compares them.
NATIVE_FAMILIES = frozenset({"gpt2", "gpt_neo", "llama", "mistral", "mt5", "qwen2", "t5"})
EMBEDDING_FAMILIES = NATIVE_FAMILIES - {"mt5", "t5"}  # those that tell their hidden states
UNKNOWN_FAMILY = "unknown"
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_NAME = re.compile(rf"(?P<name>{_PART}(?:/{_PART})?)(?:@(?P<revision>[0-9A-Za-z._-]{{1,64}}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """What can be said of a model before its files are here.

    `family` is the `model_type` of its configuration, "unknown" until that was read.
    """

    id: str
    label: str
    family: str
    description: str
    licence: str | None = None
    num_parameters: int | None = None
    context_length: int | None = None
    stored_bytes: int = 4  # per parameter, in the published files
    hub_id: str | None = None
    revision: str = DEFAULT_REVISION
    aliases: tuple[str, ...] = ()
    builtin: bool = False
    folder: Path | None = None  # where an operator says it is
    lineage: Mapping[str, Any] | None = None  # of a tuned model: what it came from

    @property
    def disk_bytes(self) -> int | None:
        """About how much a download needs: the parameters as they are published."""
        return None if self.num_parameters is None else self.num_parameters * self.stored_bytes

    def memory_bytes(self, dtype: Dtype = "float32") -> int | None:
        """About what the weights take in memory."""
        return None if self.num_parameters is None else packed_bytes(self.num_parameters, dtype)


CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        id="penstock-tiny",
        label="Penstock Tiny",
        family="gpt2",
        description="Ships with Penstock and runs anywhere: a small story writer.",
        licence="MIT",
        num_parameters=5_128_960,
        context_length=512,
        stored_bytes=2,
        builtin=True,
    ),
    CatalogEntry(
        id="gpt2",
        label="GPT-2",
        family="gpt2",
        description="OpenAI's base model of 2019 in its smallest size; continues any English text.",
        licence="MIT",
        num_parameters=124_439_808,
        context_length=1024,
        hub_id="openai-community/gpt2",
        aliases=("gpt2-small",),
    ),
    CatalogEntry(
        id="gpt2-medium",
        label="GPT-2 Medium",
        family="gpt2",
        description="GPT-2 in its second size: more coherent, about three times slower.",
        licence="MIT",
        num_parameters=354_823_168,
        context_length=1024,
        hub_id="openai-community/gpt2-medium",
    ),
    CatalogEntry(
        id="distilgpt2",
        label="DistilGPT-2",
        family="gpt2",
        description="GPT-2 distilled to half its layers: faster, a little less fluent.",
        licence="Apache-2.0",
        num_parameters=81_912_576,
        context_length=1024,
        hub_id="distilbert/distilgpt2",
    ),
    CatalogEntry(
        id="qwen",
        label="Qwen2 0.5B Instruct",
        family="qwen2",
        description="A small chat model in many languages with a long context.",
        licence="Apache-2.0",
        num_parameters=494_032_768,
        context_length=32_768,
        stored_bytes=2,
        hub_id="Qwen/Qwen2-0.5B-Instruct",
        aliases=("qwen2-0.5b-instruct",),
    ),
    CatalogEntry(
        id="tinyllama-1.1b",
        label="TinyLlama 1.1B Chat",
        family="llama",
        description="A chat model of the Llama architecture that fits an ordinary computer.",
        licence="Apache-2.0",
        num_parameters=1_100_048_384,
        context_length=2048,
        stored_bytes=2,
        hub_id="TinyLlama/TinyLlama-1.1B-Chat-v1.0",
        aliases=("tinyllama",),
    ),
    CatalogEntry(
        id="gpt-neo-125m",
        label="GPT-Neo 125M",
        family="gpt_neo",
        description="EleutherAI's base model trained on the Pile, about the size of GPT-2.",
        licence="MIT",
        num_parameters=125_198_592,
        context_length=2048,
        hub_id="EleutherAI/gpt-neo-125m",
    ),
    CatalogEntry(
        id="gpt-neo-1.3b",
        label="GPT-Neo 1.3B",
        family="gpt_neo",
        description="GPT-Neo in its middle size.",
        licence="MIT",
        num_parameters=1_315_575_808,
        context_length=2048,
        hub_id="EleutherAI/gpt-neo-1.3B",
    ),
    CatalogEntry(
        id="gpt-neo-2.7b",
        label="GPT-Neo 2.7B",
        family="gpt_neo",
        description="GPT-Neo in its largest size.",
        licence="MIT",
        num_parameters=2_651_307_520,
        context_length=2048,
        hub_id="EleutherAI/gpt-neo-2.7B",
    ),
    CatalogEntry(
        id="t5-small",
        label="T5 Small",
        family="t5",
        description="The original text-to-text encoder-decoder in its smallest size.",
        licence="Apache-2.0",
        num_parameters=60_506_624,
        context_length=512,
        hub_id="google-t5/t5-small",
    ),
    CatalogEntry(
        id="t5-base",
        label="T5 Base",
        family="t5",
        description="T5 in its second size: translates and summarises when told to.",
        licence="Apache-2.0",
        num_parameters=222_903_552,
        context_length=512,
        hub_id="google-t5/t5-base",
    ),
    CatalogEntry(
        id="flan-t5-small",
        label="Flan-T5 Small",
        family="t5",
        description="An encoder-decoder that follows short instructions.",
        licence="Apache-2.0",
        num_parameters=76_961_152,
        context_length=512,
        hub_id="google/flan-t5-small",
    ),
    CatalogEntry(
        id="flan-t5-base",
        label="Flan-T5 Base",
        family="t5",
        description="Flan-T5 in its second size: follows instructions more reliably.",
        licence="Apache-2.0",
        num_parameters=247_577_856,
        context_length=512,
        hub_id="google/flan-t5-base",
    ),
    CatalogEntry(
        id="t5-large",
        label="T5 Large",
        family="t5",
        description="The original text-to-text encoder-decoder: translates and summarises.",
        licence="Apache-2.0",
        num_parameters=737_668_096,
        context_length=512,
        hub_id="google-t5/t5-large",
    ),
)

_BY_NAME = {
    name: entry
    for entry in CATALOG
    for name in (entry.id, entry.hub_id, *entry.aliases)
    if name is not None
}


def find(name: str) -> CatalogEntry:
    """Return the entry for an id, an alias or a hub id, each with `@revision` or without.

    Safe for names from a request: nothing is read, and a folder is never found by its path.
    """
    match = _NAME.fullmatch(name)
    if match is None or ".." in name or "--" in name:
        raise ModelNotFound(
            f"model={name[:100]!r} is not a model name.",
            _how_to_name(),
            param="model",
        )
    entry = _BY_NAME.get(match["name"]) or _entry_for_hub_id(match["name"])
    return entry if match["revision"] is None else _at_revision(entry, name, match["revision"])


def find_configured(name: str) -> CatalogEntry:
    """Return the entry for what an operator wrote: a name as `find` takes it, or a folder.

    A folder is `./like-this`, absolute, or any other path at which there is one.
    """
    folder = Path(name).expanduser()
    if name not in _BY_NAME and (folder / CONFIG_FILE).is_file():
        return entry_for_folder(folder)
    if folder.is_absolute() or name.startswith((".", "~")):
        raise ModelNotFound(
            f"There is no {CONFIG_FILE} in {folder}.", "Give the folder of a model.", param="model"
        )
    return find(name)


def entry_for_folder(folder: Path) -> CatalogEntry:
    """Describe a model folder of this machine; its id is the folder's name."""
    folder = folder.resolve()
    if not re.fullmatch(_PART, folder.name) or folder.name in _BY_NAME:
        raise ModelNotFound(
            f"The folder's name {folder.name!r} cannot be a model's id.",
            "Rename it: letters, digits, '.', '_' and '-', and not the id of another model.",
            param="model",
        )
    return CatalogEntry(
        id=folder.name,
        label=folder.name,
        family=read_config(folder)["model_type"],
        description=f"The model in {folder}.",
        folder=folder,
    )


def _at_revision(entry: CatalogEntry, name: str, revision: str) -> CatalogEntry:
    if entry.hub_id is None:
        raise ModelNotFound(
            f"{entry.id} has no revisions.", f"Use {entry.id} alone.", param="model"
        )
    return replace(entry, id=name, revision=revision, aliases=())


def _entry_for_hub_id(name: str) -> CatalogEntry:
    if "/" not in name:
        close = difflib.get_close_matches(name, _BY_NAME, n=3)
        raise ModelNotFound(
            f"There is no model {name!r}.",
            f"Did you mean {' or '.join(close)}?" if close else _how_to_name(),
            param="model",
        )
    return CatalogEntry(
        id=name,
        label=name,
        family=UNKNOWN_FAMILY,
        description="A model of the Hugging Face hub.",
        hub_id=name,
    )


def _how_to_name() -> str:
    return f"Use one of {', '.join(entry.id for entry in CATALOG)}, or owner/name of the hub."
