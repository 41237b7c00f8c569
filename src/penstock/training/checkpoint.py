"""Checkpoints of a run: weights, optimiser state and position, written whole or not at all.

Only safetensors and JSON; a folder counts once it was renamed to its final name. Knows no loop.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from penstock.errors import TrainingFailed
from penstock.tracking.durable import flush, write_durably

PROGRESS_FILE = "progress.json"
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands, in plain numbers."""

    step: int
    tokens_seen: int
    data_position: list[dict[str, int]]
    best_loss: float | None
    best_step: int | None
    num_stale: int = 0  # validations since the best one


def save_checkpoint(
    run_dir: Path, model: nn.Module, optimizers: Sequence[Optimizer], progress: Progress
) -> Path:
    """Write a checkpoint, then delete all but it and the best one.

    A step's checkpoint that is there already is left as it is: it holds the same. Where the disk
    is full, what was written of it is deleted and the earlier ones stay.
    """
    final = run_dir / f"checkpoint-{progress.step:07d}"
    partial = run_dir / f"{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        if not final.is_dir():
            _write(partial, model, optimizers, progress)
            partial.rename(final)
            flush(run_dir)
        else:
            write_durably(final / PROGRESS_FILE, json.dumps(asdict(progress)))
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _not_written(run_dir, progress.step, error) from error
    _forget_others(run_dir, keep={progress.step, progress.best_step})
    return final


def _write(
    partial: Path, model: nn.Module, optimizers: Sequence[Optimizer], progress: Progress
) -> None:
    partial.mkdir(parents=True)
    save_file(model_tensors(model), partial / "model.safetensors", metadata={"format": "pt"})
    save_file(_optimizer_tensors(optimizers), partial / "optimizer.safetensors")
    (partial / PROGRESS_FILE).write_text(json.dumps(asdict(progress)), encoding="utf-8")
    for path in (*partial.iterdir(), partial):
        flush(path)


def _not_written(run_dir: Path, step: int, error: Exception) -> TrainingFailed:
    kept = latest_checkpoint(run_dir)
    is_safe = "nothing was saved yet" if kept is None else f"{kept.name} is whole"
    reason = getattr(error, "strerror", None) or str(error)
    return TrainingFailed(
        f"The checkpoint of step {step} could not be written to {run_dir} ({reason}); {is_safe}.",
        "Make room on the disk and start the command again: it continues from there.",
    )


def latest_checkpoint(run_dir: Path) -> Path | None:
    """Return the complete checkpoint with the highest step, if there is one."""
    return max(_checkpoints(run_dir), key=_step_of, default=None)


def checkpoint_of(run_dir: Path, step: int) -> Path | None:
    """Return the complete checkpoint of a step, if it is there."""
    folder = run_dir / f"checkpoint-{step:07d}"
    return folder if folder.is_dir() else None


def restore_checkpoint(folder: Path, model: nn.Module, optimizers: Sequence[Optimizer]) -> Progress:
    """Put weights, optimiser state and torch's randomness back as they were saved."""
    load_weights(folder, model)
    tensors = load_file(folder / "optimizer.safetensors")
    torch.set_rng_state(tensors.pop("rng"))
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            owner, index, key = name.split(".")
            if int(owner) == number:
                state.setdefault(int(index), {})[key] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    content: dict[str, Any] = json.loads((folder / PROGRESS_FILE).read_text(encoding="utf-8"))
    return Progress(**content)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Copy a checkpoint's trained weights into the model."""
    tensors = load_file(folder / "model.safetensors")
    with torch.no_grad():
        for name, param in model.named_parameters():
            if param.requires_grad:
                param.copy_(tensors[name])


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return every trained weight once, by name; tied ones under their first name."""
    return {
        name: param.detach().contiguous()
        for name, param in model.named_parameters()
        if param.requires_grad
    }


def _optimizer_tensors(optimizers: Sequence[Optimizer]) -> dict[str, Tensor]:
    tensors = {"rng": torch.get_rng_state()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"{number}.{index}.{key}"] = value.contiguous()
    return tensors


def _checkpoints(run_dir: Path) -> list[Path]:
    if not run_dir.is_dir():
        return []
    return [path for path in run_dir.iterdir() if _NAME.fullmatch(path.name)]


def _step_of(folder: Path) -> int:
    match = _NAME.fullmatch(folder.name)
    assert match is not None
    return int(match[1])


def _forget_others(run_dir: Path, keep: set[int | None]) -> None:
    for folder in _checkpoints(run_dir):
        if _step_of(folder) not in keep:
            shutil.rmtree(folder)
