"""TensorBoard event files in the run's folder: `tensorboard --logdir runs`."""

from collections.abc import Mapping

from torch.utils.tensorboard import SummaryWriter

from penstock.tracking.tracker import TrackedRun


class TensorboardTracker:
    """Copies a run to event files."""

    def __init__(self, run: TrackedRun) -> None:
        folder = run.folder / "tensorboard"
        self._writer = SummaryWriter(str(folder), purge_step=run.step + 1 if run.step else None)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers at a step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def sample(self, step: int, prompt: str, text: str) -> None:
        """Log a text under its prompt."""
        self._writer.add_text(f"sample/{prompt}", text, step)

    def finish(self) -> None:
        """Write what is left."""
        self._writer.close()
