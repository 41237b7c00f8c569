"""The curves of a run as pictures. Knows the run log's events and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Points = list[tuple[float, float]]


def draw_curves(events: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw losses, learning rate and gradient norm against tokens seen; replaces the picture."""
    # Importing matplotlib writes a cache; that may happen when something is drawn, not before.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8), layout="constrained")
    FigureCanvasAgg(figure)
    losses, rates, norms = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    for event, label, width in (("train", "training", 0.8), ("validation", "held out", 2.0)):
        points = points_of(events, event, "loss")
        if points:
            losses.plot(*zip(*points, strict=True), label=label, linewidth=width)
            losses.legend()
    losses.set(ylabel="loss (nats per token)", title="Training")
    for axes, key, label in (
        (rates, "learning_rate", "learning rate"),
        (norms, "gradient_norm", "gradient norm"),
    ):
        points = points_of(events, "train", key)
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=0.8)
        axes.set(ylabel=label)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
    norms.set(xlabel="million tokens seen")
    for axes in (losses, rates, norms):
        axes.grid(alpha=0.3)
    partial = path.with_suffix(".partial.png")
    figure.savefig(partial, dpi=110)
    partial.replace(path)


def points_of(events: Sequence[dict[str, Any]], event: str, key: str) -> Points:
    """Return (million tokens seen, value) of the events that have this value."""
    return [
        (e["tokens_seen"] / 1e6, e[key])
        for e in events
        if e["event"] == event and isinstance(e.get(key), int | float)
    ]
