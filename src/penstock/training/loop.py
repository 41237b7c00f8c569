"""The training loop: steps, validation, samples, checkpoints, and a clean stop at any signal.

Owns the order in which things happen; how each is done stands in the neighbouring files.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import GPT2LMHeadModel

from penstock.training.batches import MixedBatches, validation_batches
from penstock.training.checkpoint import (
    Progress,
    latest_checkpoint,
    restore_checkpoint,
    save_checkpoint,
)
from penstock.training.corpus import Corpus
from penstock.training.curve import draw_loss_curve
from penstock.training.interrupts import Interrupted, caught_signals
from penstock.training.network import (
    bfloat16_next_token_loss,
    build_model,
    next_token_loss,
    positions_from,
    write_sample,
)
from penstock.training.optimizer import build_optimizers, set_rate
from penstock.training.recipe import Recipe
from penstock.training.reporter import Reporter, StepClock, StepReport
from penstock.training.runlog import RunLog, read_log
from penstock.training.schedule import Schedule, schedule_of
from penstock.training.tokenizer import END_OF_TEXT

LossFunction = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a finished run reached."""

    step: int
    tokens_seen: int
    validation_loss: float


@dataclass(slots=True, kw_only=True)
class Training:
    """One run in progress. Owns the model, the optimisers and the position in the data."""

    recipe: Recipe
    corpus: Corpus
    schedule: Schedule
    model: GPT2LMHeadModel
    optimizers: list[Optimizer]
    batches: MixedBatches
    log: RunLog
    reporter: Reporter
    loss_of: LossFunction = next_token_loss
    held_out_loss_of: LossFunction = next_token_loss
    clock: StepClock = field(default_factory=StepClock)
    step: int = 0
    tokens_seen: int = 0
    best_loss: float | None = None
    best_step: int | None = None

    def run(self) -> Outcome:
        """Train to the end of the schedule."""
        with caught_signals() as caught:
            while self.step < self.schedule.max_steps:
                loss = self._train_step()
                self._after_step(loss)
                if caught and self.step < self.schedule.max_steps:
                    self._save()
                    raise Interrupted(caught[0], self.step)
            held_out = self._validate()
            self._save()
        return Outcome(step=self.step, tokens_seen=self.tokens_seen, validation_loss=held_out)

    def restore(self, progress: Progress) -> None:
        """Take over where a checkpoint stands."""
        self.step, self.tokens_seen = progress.step, progress.tokens_seen
        self.best_loss, self.best_step = progress.best_loss, progress.best_step
        self.batches.restore(progress.data_position)
        self.log.forget_after(self.step)

    def _train_step(self) -> Tensor:
        self.clock.start()
        recipe = self.recipe
        set_rate(self.optimizers, self.schedule.rate(self.step))
        total = torch.zeros(())
        for _ in range(recipe.gradient_accumulation_steps):
            loss = self._loss_of_next_batch()
            (loss / recipe.gradient_accumulation_steps).backward()  # type: ignore[no-untyped-call]
            total += loss.detach() / recipe.gradient_accumulation_steps
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.max_grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.tokens_seen += recipe.tokens_per_step
        self.clock.stop()
        return total

    def _loss_of_next_batch(self) -> Tensor:
        recipe = self.recipe
        block_size = self._block_size()
        num_rows = recipe.batch_size * recipe.block_size // block_size
        room = recipe.model.n_positions - block_size
        first = self.batches.draw_below(room + 1) if recipe.shift_positions else 0
        rows = self.batches.next(num_rows, block_size, self._weights())
        return self.loss_of(self.model, rows, positions_from(first, block_size))

    def _block_size(self) -> int:
        recipe = self.recipe
        is_final = self.step >= self.schedule.max_steps - recipe.final_block_steps
        return (recipe.final_block_size if is_final else None) or recipe.block_size

    def _weights(self) -> list[float]:
        cooling = self.schedule.is_cooling(self.step)
        return [
            s.cooldown_weight if cooling and s.cooldown_weight is not None else s.weight
            for s in self.recipe.data
        ]

    def _after_step(self, loss: Tensor) -> None:
        recipe, step = self.recipe, self.step
        if step % recipe.logging_steps == 0:
            self._report(float(loss))
        if step == self.schedule.max_steps:
            return
        if step % recipe.eval_steps == 0:
            self._validate()
        if step % recipe.save_steps == 0 or self.best_step == step:
            self._save()

    def _report(self, loss: float) -> None:
        seconds = self.clock.seconds_per_step
        report = StepReport(
            step=self.step,
            max_steps=self.schedule.max_steps,
            loss=loss,
            rate=self.schedule.rate(self.step),
            tokens_per_second=self.recipe.tokens_per_step / seconds,
            seconds_left=seconds * (self.schedule.max_steps - self.step),
        )
        self.reporter.report(report)
        self.log.write(
            "train",
            self.step,
            loss=round(loss, 4),
            rate=round(report.rate, 4),
            tokens_seen=self.tokens_seen,
            tokens_per_second=round(report.tokens_per_second),
        )

    def _validate(self) -> float:
        loss = self.validation_loss()
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step
        self.log.write("validation", self.step, loss=round(loss, 4), tokens_seen=self.tokens_seen)
        self.reporter.say(f"step {self.step}  validation loss {loss:.3f}")
        self._sample()
        draw_loss_curve(read_log(self.log.path), self.recipe.output_dir / "loss.png")
        return loss

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Return the mean loss over the held-out batches, in nats per token."""
        recipe = self.recipe
        block_size = recipe.final_block_size or recipe.block_size
        batches = validation_batches(
            self.corpus.validation,
            block_size=block_size,
            batch_size=recipe.batch_size * recipe.block_size // block_size,
            max_batches=recipe.validation_batches,
        )
        positions = positions_from(0, block_size)
        losses = [
            (float(self.held_out_loss_of(self.model, rows, positions)), len(rows))
            for rows in batches
        ]
        return sum(loss * rows for loss, rows in losses) / sum(rows for _, rows in losses)

    def _sample(self) -> None:
        for number, prompt in enumerate(self.recipe.sample_prompts):
            ids = self.corpus.tokenizer.encode(END_OF_TEXT + prompt).ids
            seed = self.recipe.seed + number
            written = write_sample(self.model, ids, tokens=self.recipe.sample_tokens, seed=seed)
            text = self.corpus.tokenizer.decode(written)
            self.log.write("sample", self.step, prompt=prompt, text=text)
            self.reporter.say(f"  {text!r}")

    def _save(self) -> None:
        progress = Progress(
            step=self.step,
            tokens_seen=self.tokens_seen,
            data_position=self.batches.state(),
            best_loss=self.best_loss,
            best_step=self.best_step,
        )
        save_checkpoint(self.recipe.output_dir, self.model, self.optimizers, progress)


def start_training(recipe: Recipe, corpus: Corpus, reporter: Reporter) -> Training:
    """Set a run up, from its latest checkpoint where there is one."""
    model = build_model(recipe)
    training = Training(
        recipe=recipe,
        corpus=corpus,
        schedule=schedule_of(recipe, num_tokens=sum(len(s.tokens) for s in corpus.sources)),
        model=model,
        optimizers=build_optimizers(model, recipe),
        batches=MixedBatches(corpus.sources, seed=recipe.seed),
        log=RunLog(recipe.output_dir / "log.jsonl"),
        reporter=reporter,
    )
    if recipe.bf16:
        training.loss_of = bfloat16_next_token_loss
    if recipe.compile:
        training.loss_of = torch.compile(training.loss_of, dynamic=False)
    checkpoint = latest_checkpoint(recipe.output_dir)
    if checkpoint is not None:
        training.restore(restore_checkpoint(checkpoint, model, training.optimizers))
        reporter.say(f"Continuing from {checkpoint.name}.")
    return training
