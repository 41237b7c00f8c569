"""What an adapter folder must hold, which there are, and what gets one refused. No tensors.

An adapter is what PEFT saves of a LoRA: `adapter_config.json` and `adapter_model.safetensors`.
A request's name only ever looks a folder up: it is never made part of a path.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import AdapterNotFound, PenstockError, UnsupportedAdapter
from penstock.model.safetensors_header import read_header
from penstock.text.json_object import read_json_object

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
FOLDER = "adapters"  # in the data directory
BUILTIN = Path(__file__).parent / "builtin_adapters"
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "use_dora": (None, False),
    "use_qalora": (None, False),
    "bias": (None, "none"),
    "lora_bias": (None, False),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "layer_replication": (None, []),
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
}
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")  # ways to begin training
DIGEST_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """How the matrices of a LoRA are scaled."""

    rank: int
    alpha: float
    uses_rslora: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    base_model: str | None  # as whoever trained it called it

    def rank_of(self, module: str) -> int:
        """The inner size of a module's matrices."""
        return int(_matching(self.rank_pattern, module, self.rank))

    def scale_of(self, module: str) -> float:
        """What a module's product is multiplied by."""
        rank, alpha = self.rank_of(module), _matching(self.alpha_pattern, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.uses_rslora else rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterCard:
    """What can be said of an adapter without loading it."""

    name: str
    base_model: str | None
    rank: int | None
    disk_bytes: int | None
    error: str | None  # why it cannot be used


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFolders:
    """Where adapters lie: those of the package, one folder each in the data directory, and others.

    The others are what an operator named.
    """

    data_dir: Path | None = None
    named: tuple[Path, ...] = ()

    def by_name(self) -> dict[str, Path]:
        """All of them as they are now. An operator's own word wins, and the package's is last."""
        placed = [] if self.data_dir is None else _folders_in(self.data_dir / FOLDER)
        return {folder.name: folder for folder in (*_folders_in(BUILTIN), *placed, *self.named)}

    def find(self, name: str) -> Path:
        """The folder of the adapter with this name."""
        folders = self.by_name()
        if name not in folders:
            raise AdapterNotFound(
                f"There is no adapter {name[:100]!r}.",
                f"There are {', '.join(sorted(folders))}. "
                f"Adapters lie in the folder {FOLDER!r} of the data directory.",
                param="adapter",
            )
        return folders[name]

    def cards(self) -> list[AdapterCard]:
        """All of them, with what is wrong with one that cannot be used."""
        return [_card(name, folder) for name, folder in sorted(self.by_name().items())]


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Return how the adapter is scaled; refuse one that is more than a LoRA."""
    if not (folder / WEIGHTS_FILE).is_file():
        raise UnsupportedAdapter(
            f"{folder} has no {WEIGHTS_FILE}.",
            "Save the adapter as safetensors: a pickle file can run any code.",
            param="adapter",
        )
    config = read_json_object(folder / CONFIG_FILE)
    _refuse_other_kinds(folder, config)
    base_model = config.get("base_model_name_or_path")
    return AdapterConfig(
        rank=_size(folder, "r", config.get("r")),
        alpha=_number(folder, "lora_alpha", config.get("lora_alpha")),
        uses_rslora=config.get("use_rslora") is True,
        rank_pattern={
            key: _size(folder, "rank_pattern", value)
            for key, value in _pattern(folder, config, "rank_pattern").items()
        },
        alpha_pattern={
            key: _number(folder, "alpha_pattern", value)
            for key, value in _pattern(folder, config, "alpha_pattern").items()
        },
        base_model=base_model if isinstance(base_model, str) else None,
    )


def adapter_digest(folder: Path) -> str:
    """One SHA-256 over the adapter's configuration and weights."""
    digest = hashlib.sha256((folder / CONFIG_FILE).read_bytes())
    with (folder / WEIGHTS_FILE).open("rb") as file:
        while chunk := file.read(DIGEST_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _folders_in(parent: Path) -> Sequence[Path]:
    if not parent.is_dir():
        return ()
    return [folder for folder in parent.iterdir() if (folder / CONFIG_FILE).is_file()]


def _card(name: str, folder: Path) -> AdapterCard:
    try:
        config = read_adapter_config(folder)
        records = read_header(folder / WEIGHTS_FILE)
    except PenstockError as error:
        return AdapterCard(name=name, base_model=None, rank=None, disk_bytes=None, error=str(error))
    return AdapterCard(
        name=name,
        base_model=config.base_model,
        rank=config.rank,
        disk_bytes=sum(record.end - record.start for record in records.values()),
        error=None,
    )


def _refuse_other_kinds(folder: Path, config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise _refused(folder, f"it is of the kind {config.get('peft_type')!r}")
    for name, neutral in NEUTRAL.items():
        if config.get(name) not in neutral:
            raise _refused(folder, f"{name}={str(config[name])[:100]} is not supported")
    beginning = str(config.get("init_lora_weights", True)).lower()
    if beginning.startswith(CHANGES_BASE):
        raise _refused(folder, f"init_lora_weights={beginning} changed the base model as well")


def _matching(pattern: Mapping[str, float], module: str, default: float) -> float:
    """PEFT's rule: the first key that is the end of the module's name, from a dot on."""
    found = (v for key, v in pattern.items() if re.fullmatch(rf"(.*\.)?({key})", module))
    return next(found, default)


def _pattern(folder: Path, config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    pattern = config.get(name) or {}
    if not isinstance(pattern, dict):
        raise _refused(folder, f"{name} is not an object")
    for key in pattern:
        try:
            re.compile(key)
        except re.error as error:
            raise _refused(folder, f"{name} has the key {key!r}, no regular expression") from error
    return pattern


def _size(folder: Path, name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 65_536:
        raise _refused(folder, f"{name}={value!r} is not a whole number from 1 to 65536")
    return value


def _number(folder: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(folder, f"{name}={value!r} is not a number")
    return float(value)


def _refused(folder: Path, why: str) -> UnsupportedAdapter:
    return UnsupportedAdapter(
        f"The adapter {folder.name} cannot be used: {why}.",
        "Supported are LoRA adapters as PEFT saves them, for linear layers alone.",
        param="adapter",
    )
