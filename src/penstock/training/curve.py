"""The loss curve of a run as a picture. Knows the run log's events and nothing else."""

from pathlib import Path
from typing import Any


def draw_loss_curve(events: list[dict[str, Any]], path: Path) -> None:
    """Draw training and validation loss against tokens seen; replaces the picture whole."""
    # Importing matplotlib writes a cache; that may happen when something is drawn, not before.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for event, label, width in (("train", "training", 0.8), ("validation", "validation", 2.0)):
        points = [(e["tokens_seen"] / 1e6, e["loss"]) for e in events if e["event"] == event]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, linewidth=width)
    axes.set(xlabel="million tokens seen", ylabel="loss (nats per token)", title="Training")
    axes.grid(alpha=0.3)
    axes.legend()
    partial = path.with_suffix(".partial.png")
    figure.savefig(partial, dpi=110)
    partial.replace(path)
