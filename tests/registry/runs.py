"""Runs as training leaves them, in miniature."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.model.folders import random_model, tiny_config, write_model
from tests.model.lora_folders import write_lora

TEXTS = [
    "Once upon a time there was a miller who had a mill by the river.",
    "The miller had a daughter, and she was clever.",
    "One day the king came by and wanted flour.",
]
CONFIG: dict[str, Any] = {"n_embd": 32, "n_positions": 64}


def write_base(folder: Path) -> Path:
    """A random model; the same every time."""
    write_model(folder, tiny_config(**CONFIG))
    return folder


def write_run(folder: Path, *, recipe: dict[str, Any] | None = None) -> Path:
    """What every run leaves: recipe, log, held-out text."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe or {"name": folder.name, "seed": 7}))
    events = [
        {"event": "train", "step": 10, "loss": 3.5},
        {"event": "validation", "step": 10, "loss": 3.25},
        {"event": "train", "step": 20, "loss": 3.0},
    ]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, events)) + '\n{"event": "tra')
    rows = [json.dumps({"text": text}) for text in TEXTS]
    (folder / "held_out.jsonl").write_text("\n".join(rows))
    return folder


def write_adapter_run(folder: Path, base: Path, *, seed: int = 1) -> Path:
    """A run that left an adapter for `base`."""
    write_run(folder)
    model = random_model(tiny_config(**CONFIG))
    write_lora(
        folder / "adapter", model, ("c_attn", "c_fc"), seed=seed,
        changes={"base_model_name_or_path": str(base)},
    )  # fmt: skip
    return folder


def write_model_run(folder: Path, *, seed: int = 0) -> Path:
    """A run that left a whole model, another one for each seed."""
    import torch

    write_run(folder)
    model = write_model(folder / "model", tiny_config(**CONFIG))
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(folder / "model")
    return folder
