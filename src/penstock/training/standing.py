"""How far a run is and what its best was. Plain numbers; knows no tensors and no files."""

from dataclasses import dataclass

from penstock.training.checkpoint import Progress


@dataclass(slots=True, kw_only=True)
class Standing:
    """Where one run stands. Its loop changes it."""

    step: int = 0
    tokens_seen: int = 0
    best_loss: float | None = None
    best_step: int | None = None
    num_stale: int = 0  # validations since the best one

    def advance(self, num_tokens: int) -> None:
        """Count a step that was taken."""
        self.step += 1
        self.tokens_seen += num_tokens

    def note_validation(self, loss: float, *, delta: float) -> None:
        """Keep what is best; only what is better by `delta` counts as progress."""
        self.num_stale += 1
        if self.best_loss is None or loss < self.best_loss - delta:
            self.num_stale = 0
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step

    def take_over(self, progress: Progress) -> None:
        """Go on where a checkpoint stands."""
        self.step, self.tokens_seen = progress.step, progress.tokens_seen
        self.best_loss, self.best_step = progress.best_loss, progress.best_step
        self.num_stale = progress.num_stale

    def progress(self, data_position: list[dict[str, int]]) -> Progress:
        """What a checkpoint keeps."""
        return Progress(
            step=self.step,
            tokens_seen=self.tokens_seen,
            data_position=data_position,
            best_loss=self.best_loss,
            best_step=self.best_step,
            num_stale=self.num_stale,
        )

    def for_record(self, max_steps: int) -> dict[str, int | float | None]:
        """What the run's record tells."""
        return {
            "step": self.step,
            "max_steps": max_steps,
            "tokens_seen": self.tokens_seen,
            "best_loss": self.best_loss,
            "best_step": self.best_step,
        }
