"""LoRA adapters of a loaded model: read, checked against it, laid out, and kept within bounds."""

import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, float32

from penstock.errors import ModelUnavailable, UnsupportedAdapter, UnsupportedModel
from penstock.model.adapter_folder import (
    WEIGHTS_FILE,
    AdapterFolders,
    adapter_digest,
    read_adapter_config,
)
from penstock.model.checkpoint import read_tensors
from penstock.model.safetensors_header import read_header
from penstock.ops.adapted_ops import AdaptedOps, Addition, Additions, ModulePlace

logger = logging.getLogger(__name__)

MATRIX = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<part>[AB])(?:\.default)?\.weight")
OTHER_PREFIXES = ("transformer.", "base_model.model.")  # which a checkpoint may have or lack
MAX_ADAPTER_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class LowRank:
    """`up @ down` is added to a module's weight (out_features, in_features)."""

    down: Tensor  # (rank, in_features) fp32
    up: Tensor  # (out_features, rank) fp32, scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter that is laid out for one loaded model. Lives as long as a request uses it."""

    name: str
    digest: str
    num_bytes: int
    additions: Additions


class AdapterShelf:
    """The adapters of one loaded model: loaded when first asked for, the latest used are kept.

    May be called from any thread. What is dropped goes on with the requests that have it.
    """

    def __init__(
        self,
        ops: AdaptedOps | None,
        folders: AdapterFolders,
        *,
        max_bytes: int = MAX_ADAPTER_BYTES,
    ) -> None:
        self.ops = ops  # none: the model takes no adapters
        self._folders = folders
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._loaded: dict[str, Adapter] = {}  # the one used last is the last

    def get(self, name: str) -> Adapter:
        """The adapter with this name, loaded if need be. Raises why it cannot be used."""
        with self._lock:
            adapter = self._loaded.pop(name, None) or self._load(name)
            self._loaded[name] = adapter
            return adapter

    def drop(self, name: str) -> bool:
        """Keep it no longer; whether it was kept. The next request reads its files anew."""
        with self._lock:
            return self._loaded.pop(name, None) is not None

    def loaded(self) -> list[Adapter]:
        """What is kept now."""
        with self._lock:
            return list(self._loaded.values())

    def _load(self, name: str) -> Adapter:
        folder = self._folders.find(name)
        if self.ops is None:
            raise _refused(
                name, "this model runs through transformers", "Choose a model of a native family."
            )
        try:
            self._make_room(name, folder)
            low_ranks = read_low_ranks(folder)
        except (ModelUnavailable, UnsupportedModel) as error:  # its files are no such files
            raise _refused(name, error.problem.rstrip(".")) from error
        adapter = _laid_out(name, adapter_digest(folder), low_ranks, self.ops)
        logger.info("Loaded the adapter %s: %d bytes.", name, adapter.num_bytes)
        return adapter

    def _make_room(self, name: str, folder: Path) -> None:
        needed = sum(4 * r.num_elements for r in read_header(folder / WEIGHTS_FILE).values())
        if needed > self._max_bytes:
            raise _refused(
                name,
                f"it takes {needed} bytes of memory; adapters may take {self._max_bytes}",
                "Raise PENSTOCK_LIMITS__ADAPTER_MIB.",
            )
        while sum(kept.num_bytes for kept in self._loaded.values()) + needed > self._max_bytes:
            oldest = next(iter(self._loaded))
            logger.info("The adapter %s makes room for %s.", oldest, name)
            del self._loaded[oldest]


def read_low_ranks(folder: Path) -> dict[str, LowRank]:
    """Return the adapter's matrices by the name of the module they are for."""
    config = read_adapter_config(folder)
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in read_tensors(folder / WEIGHTS_FILE).items():
        match = MATRIX.fullmatch(key)
        if match is None:
            raise _refused(folder.name, f"it holds {key}, which is no matrix of a linear layer")
        if not tensor.is_floating_point() or tensor.dim() != 2:
            raise _refused(folder.name, f"{key} is no matrix of floating-point numbers")
        parts.setdefault(match["module"], {})[match["part"]] = tensor.float()
    if not parts:
        raise _refused(folder.name, "it holds no matrices")
    low_ranks = {}
    for module, matrices in parts.items():
        ranks = [matrices["A"].shape[0], matrices["B"].shape[1]] if len(matrices) == 2 else []
        if ranks != [config.rank_of(module)] * 2:
            raise _refused(folder.name, f"the matrices of {module} are not of the rank it says")
        low_ranks[module] = LowRank(matrices["A"], matrices["B"] * config.scale_of(module))
    return low_ranks


def _laid_out(name: str, digest: str, low_ranks: Mapping[str, LowRank], ops: AdaptedOps) -> Adapter:
    additions: dict[int, list[Addition]] = {}
    num_bytes = 0
    for module, low_rank in low_ranks.items():
        _, place = place_of(name, module, low_rank, ops.modules)
        addition = Addition(
            first=place.first,
            down=ops.pack_linear(low_rank.down, None, float32),
            up=ops.pack_linear(low_rank.up, None, float32),
        )
        additions.setdefault(id(place.weight), []).append(addition)
        num_bytes += addition.down.num_bytes + addition.up.num_bytes
    return Adapter(name=name, digest=digest, num_bytes=num_bytes, additions=additions)


def place_of(
    name: str, module: str, low_rank: LowRank, modules: Mapping[str, ModulePlace]
) -> tuple[str, ModulePlace]:
    """The model's own name for a module of the adapter `name`, and where it lies."""
    names = (module, *(module.removeprefix(prefix) for prefix in OTHER_PREFIXES))
    known = next((known for known in names if known in modules), None)
    if known is None:
        raise _refused(name, f"this model has no linear layer {module}", OTHER_BASE)
    place = modules[known]
    given = (low_rank.up.shape[0], low_rank.down.shape[1])
    if given != (place.out_features, place.in_features):
        raise _refused(
            name,
            f"{module} is {list(given)} in it and "
            f"{[place.out_features, place.in_features]} in this model",
            OTHER_BASE,
        )
    return known, place


OTHER_BASE = "It was made for another model, or for layers that Penstock does not adapt."


def _refused(name: str, why: str, hint: str = "Save it anew with PEFT.") -> UnsupportedAdapter:
    return UnsupportedAdapter(f"The adapter {name} cannot be used: {why}.", hint, param="adapter")
