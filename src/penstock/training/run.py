"""A whole run from recipe to model folder: corpus, training, scoring, export.

Knows the order of these and what to tell the person; each is done in its own file.
"""

import shutil
from pathlib import Path

import torch

from penstock.training.checkpoint import latest_checkpoint
from penstock.training.corpus import prepare_corpus
from penstock.training.export import export_model
from penstock.training.interrupts import Interrupted
from penstock.training.loop import start_training
from penstock.training.recipe import Recipe
from penstock.training.reporter import Reporter
from penstock.training.scoring import score_documents


def train_and_export(recipe: Recipe, reporter: Reporter, *, command: str) -> int:
    """Carry a run out and return the exit code; `command` is how to continue a stopped one."""
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    reporter.say(f"Preparing the text of {len(recipe.data)} sources.")
    corpus = prepare_corpus(recipe)
    training = start_training(recipe, corpus, reporter)
    try:
        training.run()
    except Interrupted as stopped:
        reporter.say(f"{stopped} Continue with: {command}")
        return stopped.exit_code
    score = score_documents(training.model, corpus.validation, context=recipe.block_size)
    training.log.write(
        "score",
        training.step,
        tokens_seen=training.tokens_seen,
        perplexity_per_token=round(score.perplexity_per_token, 2),
        perplexity_per_word=round(score.perplexity_per_word, 2),
    )
    folder = recipe.output_dir / "model"
    checkpoint = latest_checkpoint(recipe.output_dir)
    assert checkpoint is not None  # the run has just written it
    export_model(recipe, checkpoint, folder)
    reporter.say(
        f"Done: {training.tokens_seen:,} tokens seen; held-out perplexity "
        f"{score.perplexity_per_token:.1f} per token, {score.perplexity_per_word:.0f} per word. "
        f"The model is in {folder}."
    )
    return 0


def forget_run(run_dir: Path) -> None:
    """Delete what earlier runs wrote into the folder, and nothing else that may lie there."""
    for folder in (*run_dir.glob("checkpoint-*"), run_dir / "corpus", run_dir / "model"):
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("log.jsonl", "loss.png"):
        (run_dir / name).unlink(missing_ok=True)
