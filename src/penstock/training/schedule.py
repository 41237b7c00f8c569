"""The learning rate over a run: warm up, stay, cool down. Knows only step numbers."""

import math
from dataclasses import dataclass
from typing import Literal

from penstock.training.recipe import Recipe

DEFAULT_COOLDOWN = 0.25  # of the steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rise, then a shape. Of a trapezoid the stable part may be lengthened or cut at any time."""

    max_steps: int
    warmup_steps: int
    cooldown_steps: int
    shape: Literal["trapezoid", "cosine", "linear", "constant"] = "trapezoid"

    def rate(self, step: int) -> float:
        """Return the share of the full learning rate for the step that follows `step` done ones."""
        rising = (step + 1) / self.warmup_steps if self.warmup_steps else 1.0
        if self.shape == "trapezoid":
            falling = (self.max_steps - step) / self.cooldown_steps if self.cooldown_steps else 1.0
            return max(0.0, min(1.0, rising, falling))
        if step < self.warmup_steps or self.shape == "constant":
            return min(1.0, rising)
        left = (self.max_steps - step) / max(1, self.max_steps - self.warmup_steps)
        return left if self.shape == "linear" else 0.5 * (1 - math.cos(math.pi * left))

    def is_cooling(self, step: int) -> bool:
        """Tell whether the step that follows `step` done ones belongs to the cool-down."""
        return step >= self.max_steps - self.cooldown_steps


def schedule_of(recipe: Recipe, *, steps_per_epoch: float) -> Schedule:
    """Return the recipe's schedule in steps."""
    max_steps = recipe.max_steps
    if max_steps is None:
        assert recipe.epochs is not None  # the recipe checks that one of the two is set
        max_steps = max(1, round(recipe.epochs * steps_per_epoch))
    warmup = recipe.warmup_steps
    cooldown = recipe.cooldown_steps
    return Schedule(
        max_steps=max_steps,
        warmup_steps=round(recipe.warmup_ratio * max_steps) if warmup is None else warmup,
        cooldown_steps=round(DEFAULT_COOLDOWN * max_steps) if cooldown is None else cooldown,
        shape=recipe.schedule,
    )
