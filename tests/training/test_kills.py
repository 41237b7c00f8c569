"""`kill -9` at any write, and a disk that is full: the last good checkpoint stays and goes on."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import TrainingFailed
from penstock.training.checkpoint import latest_checkpoint
from tests.figures import record
from tests.training.small import small_recipe
from tests.training.test_loop import start

NUM_POINTS = 2 * int(os.environ.get("PENSTOCK_STRESS_ROUNDS", "2"))  # 40 with `make stress`


def test_a_run_that_is_killed_at_any_write_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    script = [sys.executable, "-W", "ignore", "-m", "tests.training.killed_runs"]
    done = subprocess.run(
        [*script, str(tmp_path), str(NUM_POINTS)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )

    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == NUM_POINTS, done.stderr[-2000:]
    for outcome in outcomes:
        assert outcome["of"] >= 40
        assert outcome["was_killed"], outcome
        assert outcome["loads"], outcome
        assert outcome["goes_on"], outcome
        assert outcome["is_same"], outcome
    figures = {
        "writes of the run": outcomes[0]["of"],
        "killed at so many of them, evenly spread": len(outcomes),
        "left something that can be read": sum(o["loads"] for o in outcomes),
        "went on to the same weights": sum(o["is_same"] for o in outcomes),
    }
    record("training runs through kills", "at their writes", figures)


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, max_steps=8, save_steps=2, eval_steps=100)
    training = start(recipe)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails instead
    compute = training.loss_of

    def compute_until_full(model, batch):  # type: ignore[no-untyped-def]
        if training.step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        return compute(model, batch)

    training.loss_of = compute_until_full
    try:
        with pytest.raises(TrainingFailed) as refused:
            training.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)

    assert "The checkpoint of step 4 could not be written" in str(refused.value)
    assert "checkpoint-0000002 is whole. Make room on the disk" in str(refused.value)
    assert not list(recipe.run_dir.glob("*.partial"))
    kept = latest_checkpoint(recipe.run_dir)
    assert kept is not None
    assert kept.name == "checkpoint-0000002"
    assert start(recipe).run().step == 8
