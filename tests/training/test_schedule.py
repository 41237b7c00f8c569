"""The learning rate rises, stays and falls to nothing, whatever the lengths."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.training.schedule import Schedule, schedule_of
from tests.training.small import small_recipe

SCHEDULE = Schedule(max_steps=10, warmup_steps=2, cooldown_steps=4)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.5), (1, 1.0), (5, 1.0), (6, 1.0), (7, 0.75), (9, 0.25)]
)
def test_the_rate_is_a_trapezoid(step: int, rate: float) -> None:
    assert SCHEDULE.rate(step) == rate


@given(
    max_steps=st.integers(1, 50), warmup_steps=st.integers(0, 20), cooldown_steps=st.integers(0, 50)
)
def test_every_step_has_a_positive_rate_of_at_most_one(
    max_steps: int, warmup_steps: int, cooldown_steps: int
) -> None:
    schedule = Schedule(
        max_steps=max_steps, warmup_steps=warmup_steps, cooldown_steps=cooldown_steps
    )

    assert all(0 < schedule.rate(step) <= 1 for step in range(max_steps))


def test_a_longer_run_has_the_same_rates_until_the_cooldown_of_the_shorter_one() -> None:
    longer = Schedule(max_steps=20, warmup_steps=2, cooldown_steps=4)

    assert [longer.rate(s) for s in range(7)] == [SCHEDULE.rate(s) for s in range(7)]
    assert SCHEDULE.is_cooling(6)
    assert not longer.is_cooling(6)


def test_epochs_are_turned_into_steps(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, epochs=3, max_steps=None, warmup_steps=None)

    schedule = schedule_of(recipe, num_tokens=12_800)

    assert schedule == Schedule(max_steps=300, warmup_steps=30, cooldown_steps=75)
