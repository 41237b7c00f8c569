"""Weights & Biases: offline in the run's folder, unless a key is set in the environment."""

import os
from collections.abc import Mapping

import wandb

from penstock.tracking.tracker import TrackedRun


class WandbTracker:
    """Copies a run to Weights & Biases. `wandb sync` sends an offline one later."""

    def __init__(self, run: TrackedRun) -> None:
        if not os.environ.get("WANDB_API_KEY"):
            os.environ.setdefault("WANDB_MODE", "offline")
        self._run = wandb.init(
            project=run.project,
            name=run.name,
            dir=run.folder,
            config=dict(run.config),
            settings=wandb.Settings(console="off", silent=True),
        )
        self._samples: list[tuple[int, str, str]] = []

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers at a step."""
        self._run.log(dict(values), step=step)

    def sample(self, step: int, prompt: str, text: str) -> None:
        """Log a table of all samples so far."""
        self._samples.append((step, prompt, text))
        table = wandb.Table(columns=["step", "prompt", "text"], data=self._samples)
        self._run.log({"samples": table}, step=step)

    def finish(self) -> None:
        """End the run."""
        self._run.finish()
