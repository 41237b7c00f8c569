"""Sets a run up: model, optimisers, batches, and where its latest checkpoint stands."""

import torch

from penstock.errors import RecipeError
from penstock.tracking.run_log import RunLog
from penstock.training.batches import MixedBatches
from penstock.training.checkpoint import latest_checkpoint, restore_checkpoint
from penstock.training.corpus import Base, Corpus
from penstock.training.feed import Feed
from penstock.training.loop import Training
from penstock.training.network import (
    LossFunction,
    bfloat16_loss_sum,
    build_model,
    compiled,
    context_of,
    loss_sum,
)
from penstock.training.optimizer import build_optimizers
from penstock.training.processes import Processes
from penstock.training.recipe import Recipe
from penstock.training.reporter import Reporter
from penstock.training.schedule import schedule_of
from penstock.training.telling import Teller


def start_training(
    recipe: Recipe,
    corpus: Corpus,
    reporter: Reporter,
    *,
    base: Base | None = None,
    processes: Processes | None = None,
) -> Training:
    """Set a run up, from its latest checkpoint where there is one."""
    processes = processes or Processes()
    if recipe.batch_size < processes.size:
        raise RecipeError(
            f"batch_size={recipe.batch_size} is less than the {processes.size} processes.",
            "Give each process at least one row.",
            param="batch_size",
        )
    model = build_model(recipe, base, corpus.encoder.vocab_size)
    schedule = schedule_of(recipe, steps_per_epoch=_steps_per_epoch(recipe, corpus))
    pad_id = model.config.pad_token_id
    feed = Feed(
        recipe=recipe,
        corpus=corpus,
        schedule=schedule,
        batches=MixedBatches(corpus.sources, seed=recipe.seed),
        context=context_of(model.config),
        pad_id=pad_id if isinstance(pad_id, int) else corpus.encoder.eos_id,
    )
    training = Training(
        recipe=recipe,
        corpus=corpus,
        schedule=schedule,
        model=model,
        optimizers=build_optimizers(model, recipe),
        feed=feed,
        teller=Teller(recipe=recipe, log=RunLog(recipe.run_dir / "log.jsonl"), reporter=reporter),
        processes=processes,
        loss_of=_loss_of(recipe, corpus),
    )
    checkpoint = latest_checkpoint(recipe.run_dir)
    if checkpoint is not None:
        training.restore(restore_checkpoint(checkpoint, model, training.optimizers))
        if processes.is_first:
            reporter.say(f"Continuing from {checkpoint.name}.")
    if processes.rank:  # what is dropped differs between processes
        torch.manual_seed(1000 * (recipe.seed + training.step) + processes.rank)
    return training


def _loss_of(recipe: Recipe, corpus: Corpus) -> LossFunction:
    loss_of = bfloat16_loss_sum if recipe.bf16 else loss_sum
    if not recipe.compile:
        return loss_of
    if corpus.sources[0].kind != "text":
        raise RecipeError(
            "compile needs rows of one length, and examples have many.",
            "Set compile: false.",
            param="compile",
        )
    return compiled(loss_of)


def _steps_per_epoch(recipe: Recipe, corpus: Corpus) -> float:
    if corpus.sources[0].kind == "text":
        return sum(len(s.tokens) for s in corpus.sources) / recipe.tokens_per_step
    return sum(len(s.ends) for s in corpus.sources) / recipe.rows_per_step
