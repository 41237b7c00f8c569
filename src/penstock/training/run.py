"""A whole run from recipe to model folder: data, training, scoring, export, report.

Knows the order of these and what to tell the person; each is done in its own file.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from penstock.errors import PenstockError
from penstock.tracking.durable import write_durably
from penstock.tracking.html_report import write_report
from penstock.tracking.run_log import read_log
from penstock.tracking.tracker import TrackedRun, Trackers, start_trackers
from penstock.training.checkpoint import (
    checkpoint_of,
    latest_checkpoint,
    load_weights,
)
from penstock.training.corpus import Base, Corpus, prepare_corpus
from penstock.training.data_report import lines_of
from penstock.training.export import export_run
from penstock.training.interrupts import Interrupted
from penstock.training.loop import Training
from penstock.training.network import find_base
from penstock.training.processes import Processes, join_processes, leave_processes
from penstock.training.recipe import Recipe
from penstock.training.recipe_file import dump_recipe
from penstock.training.record import read_record, update_record, versions
from penstock.training.reporter import Reporter, spoken_time
from penstock.training.scoring import Score, score_held_out
from penstock.training.starting import start_training


def train_and_export(recipe: Recipe, reporter: Reporter, *, command: str) -> int:
    """Carry a run out and return the exit code; `command` is how to continue a stopped one."""
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    processes = join_processes()
    try:
        training, base = set_up(recipe, reporter, processes)
        return _carry_out(training, base, command)
    finally:
        leave_processes(processes)


def check(recipe: Recipe, reporter: Reporter) -> None:
    """Prepare the data, report on them and on the time a run would take, and train nothing."""
    training, _ = set_up(recipe, reporter, Processes(), is_rehearsal=True)
    _say_data(training, reporter)


def set_up(
    recipe: Recipe, reporter: Reporter, processes: Processes, *, is_rehearsal: bool = False
) -> tuple[Training, Base | None]:
    """Prepare the data and the model of a run."""
    base = find_base(recipe)
    corpus = _corpus(recipe, base, reporter, processes)
    training = start_training(recipe, corpus, reporter, base=base, processes=processes)
    if not processes.is_first or is_rehearsal:
        return training, base
    recipe.run_dir.mkdir(parents=True, exist_ok=True)
    write_durably(recipe.run_dir / "recipe.yaml", dump_recipe(recipe))
    update_record(recipe.run_dir, _description(training, base) | {"status": "running"})
    training.teller.trackers = Trackers(
        start_trackers(recipe.trackers, _tracked(training)), reporter.say
    )
    if training.step == 0:
        _say_data(training, reporter)
    return training, base


def forget_run(run_dir: Path) -> None:
    """Delete what earlier runs wrote into the folder, and nothing else that may lie there."""
    folders = ("corpus", "model", "adapter", "tensorboard", "wandb")
    for folder in (*run_dir.glob("checkpoint-*"), *(run_dir / name for name in folders)):
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("log.jsonl", "loss.png", "report.html", "run.json", "recipe.yaml"):
        (run_dir / name).unlink(missing_ok=True)


def _corpus(recipe: Recipe, base: Base | None, reporter: Reporter, processes: Processes) -> Corpus:
    """The first process prepares the data, the others wait and read its files."""
    if processes.is_first:
        sources = "1 source" if len(recipe.data) == 1 else f"{len(recipe.data)} sources"
        reporter.say(f"Preparing the text of {sources}.")
        prepare_corpus(recipe, base)
    processes.wait()
    return prepare_corpus(recipe, base)


def _carry_out(training: Training, base: Base | None, command: str) -> int:
    recipe, reporter, processes = training.recipe, training.teller.reporter, training.processes
    try:
        training.run()
    except Interrupted as stopped:
        if processes.is_first:
            _note_end(training, "stopped")
            reporter.say(f"{stopped} Continue with: {command}")
        return stopped.exit_code
    except (PenstockError, OSError) as error:
        if processes.is_first:
            _note_end(training, "failed", str(error))
        raise
    if not processes.is_first:
        return 0
    checkpoint = latest_checkpoint(recipe.run_dir)
    if recipe.export == "best" and training.standing.best_step is not None:
        checkpoint = checkpoint_of(recipe.run_dir, training.standing.best_step)
    assert checkpoint is not None  # the run has just written it
    load_weights(checkpoint, training.model)
    score = _score(training)
    folder = export_run(recipe, checkpoint, training.model, base)
    update_record(recipe.run_dir, {"exported": checkpoint.name, "output": folder.name})
    _note_end(training, "finished")
    reporter.say(
        f"Done: {training.standing.tokens_seen:,} tokens seen; held-out perplexity "
        f"{score.perplexity_per_token:,.1f} per token, {score.perplexity_per_word:,.0f} per word. "
        f"The {'adapter' if recipe.is_lora else 'model'} is in {folder}."
    )
    return 0


def _score(training: Training) -> Score:
    recipe = training.recipe
    score = score_held_out(
        training.model,
        training.corpus.validation,
        context=recipe.block_size,
        eos_id=training.corpus.encoder.eos_id,
        pad_id=training.feed.pad_id,
    )
    values = {
        "perplexity_per_token": round(score.perplexity_per_token, 2),
        "perplexity_per_word": round(score.perplexity_per_word, 2),
    }
    training.teller.log.write(
        "score", training.step, tokens_seen=training.standing.tokens_seen, **values
    )
    training.teller.trackers.log(training.step, {f"score/{name}": v for name, v in values.items()})
    return score


def _note_end(training: Training, status: str, problem: str | None = None) -> None:
    """Write how the run stands and its report. A full disk must not hide the first problem."""
    recipe = training.recipe
    training.teller.trackers.finish()
    try:
        record = update_record(
            recipe.run_dir, {"status": status, "problem": problem, **training.for_record()}
        )
        events = read_log(training.teller.log.path)
        if events:
            training.teller.curves()
        write_report(
            recipe.run_dir / "report.html",
            record=record,
            events=events,
            picture=recipe.run_dir / "loss.png",
            texts={"Data": _data_text(training), "Recipe": dump_recipe(recipe)},
        )
    except OSError as error:
        training.teller.reporter.say(f"The report could not be written ({error.strerror}).")


def _description(training: Training, base: Base | None) -> dict[str, Any]:
    recipe, corpus = training.recipe, training.corpus
    return {
        "name": recipe.name,
        "method": recipe.method or ("scratch" if base is None else "full"),
        "family": training.model.config.model_type,
        "base_model": recipe.initial_model,
        "kind": corpus.sources[0].kind,
        "data_digest": corpus.digest,
        "sources": [report["source"] for report in corpus.reports],
        "licences": [report["licence"] for report in corpus.reports],
        "num_trained_weights": sum(
            p.numel() for p in training.model.parameters() if p.requires_grad
        ),
        "versions": versions(),
        **training.for_record(),
    }


def _tracked(training: Training) -> TrackedRun:
    recipe = training.recipe
    return TrackedRun(
        name=recipe.name,
        project=recipe.project,
        folder=recipe.run_dir,
        config=recipe.model_dump(mode="json") | read_record(recipe.run_dir),
        step=training.step,
    )


def _say_data(training: Training, reporter: Reporter) -> None:
    reporter.say(_data_text(training))
    steps = training.schedule.max_steps - training.step
    seconds = training.seconds_per_step()
    reporter.say(
        f"  time       about {spoken_time(seconds * steps)} here: {steps:,} steps of "
        f"{seconds:.2f} s, measured; validation and saving come on top"
    )


def _data_text(training: Training) -> str:
    return "\n".join(
        ["Data report", *(line for r in training.corpus.reports for line in lines_of(r))]
    )
