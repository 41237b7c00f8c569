"""A run learns, stops cleanly, and continues to the bit as if it had never stopped."""

import io
import itertools
import os
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor
from torch.nn import Module

from penstock.errors import TrainingFailed
from penstock.tracking.run_log import read_log
from penstock.training.batches import Batch
from penstock.training.checkpoint import latest_checkpoint, model_tensors
from penstock.training.corpus import prepare_corpus
from penstock.training.interrupts import Interrupted
from penstock.training.loop import Training
from penstock.training.network import find_base
from penstock.training.recipe import Recipe
from penstock.training.reporter import Reporter, StepReport
from penstock.training.run import train_and_export
from penstock.training.starting import start_training
from tests.training.small import small_recipe


def quiet() -> Reporter:
    return Reporter(Console(file=io.StringIO(), width=200))


def start(recipe: Recipe) -> Training:
    base = find_base(recipe)
    return start_training(recipe, prepare_corpus(recipe, base), quiet(), base=base)


class SignallingReporter(Reporter):
    """A person who presses Ctrl-C as soon as the first step is shown."""

    def report(self, report: StepReport) -> None:
        super().report(report)
        os.kill(os.getpid(), signal.SIGINT)


def losses(recipe: Recipe) -> list[tuple[int, float]]:
    events = read_log(recipe.run_dir / "log.jsonl")
    return [(e["step"], e["loss"]) for e in events if e["event"] == "train"]


def stop_after(training: Training, step: int) -> None:
    """Send the process a real SIGTERM in the midst of the given step."""
    compute = training.loss_of

    def compute_and_signal(model: Module, batch: Batch) -> Tensor:
        if training.step + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return compute(model, batch)

    training.loss_of = compute_and_signal


def test_the_loss_falls_on_a_tiny_corpus(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, max_steps=60, eval_steps=100, save_steps=100)

    outcome = start(recipe).run()

    first, last = losses(recipe)[0][1], losses(recipe)[-1][1]
    assert last < 0.6 * first
    assert outcome.validation_loss < 0.6 * first
    assert outcome.tokens_seen == 60 * recipe.tokens_per_step


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("stopped_after", [1, 6])
def test_a_resumed_run_equals_one_that_never_stopped(
    tmp_path: Path, optimizer: str, stopped_after: int
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    whole = start(small_recipe(tmp_path / "whole", optimizer=optimizer))
    whole.run()
    recipe = small_recipe(tmp_path / "halves", optimizer=optimizer)
    first_half = start(recipe)
    stop_after(first_half, stopped_after)
    with pytest.raises(Interrupted):
        first_half.run()

    second_half = start(recipe)
    second_half.run()

    expected = model_tensors(whole.model)
    assert all(torch.equal(t, expected[n]) for n, t in model_tensors(second_half.model).items())
    assert losses(recipe) == losses(whole.recipe)


def test_an_interrupted_run_says_where_it_stopped_and_exits_as_the_signal_wants(
    tmp_path: Path,
) -> None:
    training = start(small_recipe(tmp_path))
    stop_after(training, 3)

    with pytest.raises(Interrupted) as stopped:
        training.run()

    assert str(stopped.value) == "Stopped after step 3; the run is saved."
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_last_steps_have_longer_rows_and_short_rows_begin_anywhere(tmp_path: Path) -> None:
    recipe = small_recipe(
        tmp_path,
        block_size=8,
        batch_size=4,
        final_block_size=32,
        final_block_steps=2,
        shift_positions=True,
        max_steps=30,
        eval_steps=100,
    )
    training = start(recipe)
    seen: list[tuple[int, int, int]] = []
    compute = training.loss_of

    def compute_and_note(model: Module, batch: Batch) -> Tensor:
        seen.append((*batch.labels.shape, int(batch.inputs["position_ids"][0, 0])))
        return compute(model, batch)

    training.loss_of = compute_and_note
    training.run()

    assert [shape for *shape, _ in seen] == [[4, 8]] * 28 + [[1, 32]] * 2
    firsts = [first for *_, first in seen]
    assert len(set(firsts[:28])) > 10
    assert max(firsts) <= 32 - 8
    assert firsts[28:] == [0, 0]


def test_a_run_can_be_made_longer_when_it_is_resumed(tmp_path: Path) -> None:
    start(small_recipe(tmp_path, max_steps=4)).run()

    outcome = start(small_recipe(tmp_path, max_steps=9)).run()

    assert outcome.step == 9


def test_a_half_written_checkpoint_is_ignored(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    training = start(recipe)
    stop_after(training, 3)
    with pytest.raises(Interrupted):
        training.run()
    killed = recipe.run_dir / "checkpoint-0000004.partial"
    killed.mkdir()
    (killed / "model.safetensors").write_bytes(b"half")

    resumed = start(recipe)

    assert resumed.step == 3
    assert resumed.run().step == 8


def test_the_last_and_the_best_checkpoint_are_kept(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, max_steps=10, eval_steps=4, save_steps=3)
    training = start(recipe)
    training.held_out_loss_of = lambda _, batch: torch.tensor(  # 4 is the best
        float(training.step * batch.num_counted)
    )

    training.run()

    kept = sorted(path.name for path in recipe.run_dir.glob("checkpoint-*"))
    assert kept == ["checkpoint-0000004", "checkpoint-0000010"]
    latest = latest_checkpoint(recipe.run_dir)
    assert latest is not None
    assert latest.name == "checkpoint-0000010"


def test_a_whole_run_leaves_a_model_a_log_and_a_curve(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)

    assert train_and_export(recipe, quiet(), command="penstock train recipe.yaml") == 0

    names = {path.name for path in (recipe.run_dir / "model").iterdir()}
    assert names == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert (recipe.run_dir / "loss.png").read_bytes().startswith(b"\x89PNG")
    events = {event["event"] for event in read_log(recipe.run_dir / "log.jsonl")}
    assert events == {"train", "validation", "sample", "score"}


def test_a_stopped_run_says_how_to_go_on(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    screen = io.StringIO()
    reporter = SignallingReporter(Console(file=screen, width=200))

    code = train_and_export(recipe, reporter, command="penstock train recipe.yaml")

    assert code == 130
    assert screen.getvalue().endswith(
        "Stopped after step 1; the run is saved. Continue with: penstock train recipe.yaml\n"
    )
    report = (recipe.run_dir / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in report  # the curves, though nothing was validated yet


def test_a_signal_between_two_passes_gives_the_step_up_and_the_run_goes_on_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    settings = {"gradient_accumulation_steps": 4, "max_steps": 4, "dropout": 0.2}
    whole = start(small_recipe(tmp_path / "whole", **settings))
    whole.run()
    recipe = small_recipe(tmp_path / "halves", **settings)
    first = start(recipe)
    stop_after(first, 3)  # in the first of four passes

    with pytest.raises(Interrupted) as stopped:
        first.run()
    second = start(recipe)

    assert str(stopped.value) == "Stopped after step 2; the run is saved."
    assert second.step == 2
    second.run()
    expected = model_tensors(whole.model)
    assert all(torch.equal(t, expected[n]) for n, t in model_tensors(second.model).items())


def test_a_run_that_gets_no_better_stops_and_the_best_weights_are_exported(tmp_path: Path) -> None:
    recipe = small_recipe(
        tmp_path, max_steps=50, eval_steps=2, early_stopping_patience=3, export="best"
    )
    training = start(recipe)
    losses = [5.0, 4.0, 4.5, 4.5, 4.5, 4.5]
    number_of_batches = len(list(training.feed.held_out()))
    calls = itertools.count()
    training.held_out_loss_of = lambda _, batch: torch.tensor(
        losses[next(calls) // number_of_batches] * batch.num_counted
    )

    outcome = training.run()

    assert outcome.step == 10
    assert training.standing.best_step == 4
    events = read_log(recipe.run_dir / "log.jsonl")
    assert [e["best_step"] for e in events if e["event"] == "early_stop"] == [4]
    assert (recipe.run_dir / "checkpoint-0000004").is_dir()


def test_a_loss_that_is_no_number_ends_the_run_with_what_to_change(tmp_path: Path) -> None:
    training = start(small_recipe(tmp_path))
    training.loss_of = lambda model, _: next(model.parameters()).sum() * float("nan")

    with pytest.raises(TrainingFailed, match=r"The loss of step 1 is nan.* Lower learning_rate"):
        training.run()


def test_measuring_the_time_of_a_step_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "measured").mkdir()
    (tmp_path / "plain").mkdir()
    measured = start(small_recipe(tmp_path / "measured", dropout=0.1, shift_positions=True))
    plain = start(small_recipe(tmp_path / "plain", dropout=0.1, shift_positions=True))

    assert measured.seconds_per_step() > 0
    for training in (measured, plain):
        torch.manual_seed(0)
        training.run()

    expected = model_tensors(plain.model)
    assert all(torch.equal(t, expected[n]) for n, t in model_tensors(measured.model).items())


@pytest.mark.parametrize("prompt", ["Once", "Once upon a time " * 20])
def test_a_sample_ends_where_the_model_has_no_more_positions(tmp_path: Path, prompt: str) -> None:
    recipe = small_recipe(tmp_path, max_steps=1, sample_tokens=100, sample_prompts=[prompt])

    start(recipe).run()

    (sample,) = [e for e in read_log(recipe.run_dir / "log.jsonl") if e["event"] == "sample"]
    assert sample["text"].startswith(prompt)
