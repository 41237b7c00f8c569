"""Trackio: a local SQLite database in its own cache folder; `trackio show` opens it."""

from collections.abc import Mapping

from penstock.tracking.tracker import TrackedRun


class TrackioTracker:
    """Copies a run to Trackio."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        self._run = trackio.init(
            project=run.project, name=run.name, config=dict(run.config), resume="allow"
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers at a step."""
        self._run.log(dict(values), step=step)

    def sample(self, step: int, prompt: str, text: str) -> None:
        """Log a text beside its prompt."""
        self._run.log({"prompt": prompt, "sample": text}, step=step)

    def finish(self) -> None:
        """End the run."""
        self._run.finish()
