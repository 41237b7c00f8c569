"""The learning rate rises, stays and falls to nothing, whatever the lengths."""

from pathlib import Path

import pytest
import torch
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

    schedule = schedule_of(recipe, steps_per_epoch=100)

    assert schedule == Schedule(max_steps=300, warmup_steps=30, cooldown_steps=75)


@pytest.mark.parametrize(
    ("shape", "rates"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.875, 0.125]),
        ("cosine", [0.5, 1.0, 1.0, 0.962, 0.038]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_other_shapes_are_those_of_transformers(shape: str, rates: list[float]) -> None:
    schedule = Schedule(max_steps=10, warmup_steps=2, cooldown_steps=4, shape=shape)

    assert [schedule.rate(step) for step in (0, 1, 2, 3, 9)] == pytest.approx(rates, abs=1e-3)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_the_fall_equals_that_of_transformers(shape: str) -> None:
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_scheduler(shape, optimizer, num_warmup_steps=0, num_training_steps=9)
    ours = Schedule(max_steps=9, warmup_steps=0, cooldown_steps=0, shape=shape)

    for step in range(9):
        assert ours.rate(step) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
