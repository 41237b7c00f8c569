"""The training loop: steps, validation, samples, checkpoints, and a clean stop at any signal.

Owns the order in which things happen; how each is done stands in the neighbouring files.
"""

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer
from transformers import PreTrainedModel

from penstock.errors import TrainingFailed
from penstock.training.batches import Batch
from penstock.training.checkpoint import Progress, save_checkpoint
from penstock.training.corpus import Corpus
from penstock.training.feed import Feed
from penstock.training.interrupts import Interrupted, caught_signals
from penstock.training.network import LossFunction, loss_sum
from penstock.training.optimizer import set_rate
from penstock.training.processes import Processes
from penstock.training.recipe import Recipe
from penstock.training.record import update_record
from penstock.training.reporter import StepClock, StepReport
from penstock.training.schedule import Schedule
from penstock.training.standing import Standing
from penstock.training.telling import Teller


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a finished run reached."""

    step: int
    tokens_seen: int
    validation_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one step computed."""

    loss: float
    gradient_norm: float
    num_tokens: int


class _Cancelled(Exception):
    """A signal came between two passes of a step, whose gradients are thrown away."""


@dataclass(slots=True, kw_only=True)
class Training:
    """One run in progress. Owns the model, the optimisers and the position in the data."""

    recipe: Recipe
    corpus: Corpus
    schedule: Schedule
    model: PreTrainedModel
    optimizers: list[Optimizer]
    feed: Feed
    teller: Teller
    processes: Processes = field(default_factory=Processes)
    loss_of: LossFunction = loss_sum
    held_out_loss_of: LossFunction = loss_sum
    clock: StepClock = field(default_factory=StepClock)
    caught: list[int] = field(default_factory=list)
    standing: Standing = field(default_factory=Standing)

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return self.standing.step

    def run(self) -> Outcome:
        """Train to the end of the schedule, or until nothing gets better any more."""
        with caught_signals() as self.caught:
            while self.step < self.schedule.max_steps and not self._is_stale:
                self.take_step()
            if self._is_stale and self.processes.is_first:
                self.teller.early_stop(self.standing)
            held_out = self._validate()
            self._save()
        return Outcome(
            step=self.step, tokens_seen=self.standing.tokens_seen, validation_loss=held_out
        )

    def restore(self, progress: Progress) -> None:
        """Take over where a checkpoint stands."""
        self.standing.take_over(progress)
        self.feed.batches.restore(progress.data_position)
        if self.processes.is_first:
            self.teller.log.forget_after(self.step)

    def seconds_per_step(self) -> float:
        """Measure how long a step takes here, and leave everything as it was."""
        position, randomness = self.feed.batches.state(), torch.get_rng_state()
        batch = self.feed.next(self.step).share(self.processes.rank, self.processes.size)
        durations = []
        for _ in range(2):  # the first one also warms up, or compiles
            start = time.perf_counter()
            self.loss_of(self.model, batch).backward()  # type: ignore[no-untyped-call]
            durations.append(time.perf_counter() - start)
        self._go_back(position, randomness)
        return durations[-1] * self.recipe.gradient_accumulation_steps

    def take_step(self) -> None:
        """Take a step, and what is due after it. Raises `Interrupted` once all is saved."""
        position, randomness = self.feed.batches.state(), torch.get_rng_state()
        try:
            result = self._compute_step()
        except _Cancelled:
            self._go_back(position, randomness)
            self._save()
            raise Interrupted(self.caught[0], self.step) from None
        self._after_step(result)
        if self.caught and self.step < self.schedule.max_steps:
            self._save()
            raise Interrupted(self.caught[0], self.step)

    def _go_back(self, position: list[dict[str, int]], randomness: Tensor) -> None:
        """Forget what was computed since, as if it had not been."""
        self.model.zero_grad()
        self.feed.batches.restore(position)
        torch.set_rng_state(randomness)

    def _compute_step(self) -> StepResult:
        self.clock.start()
        set_rate(self.optimizers, self.schedule.rate(self.step))
        batches = self.feed.next_step(self.step)
        loss = self._add_gradients(batches)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.max_grad_norm)
        self._refuse_nonsense(loss, norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        num_tokens = sum(batch.num_tokens for batch in batches)
        self.standing.advance(num_tokens)
        self.clock.stop()
        return StepResult(loss=float(loss), gradient_norm=float(norm), num_tokens=num_tokens)

    def _add_gradients(self, batches: list[Batch]) -> Tensor:
        """Compute the gradients of all passes and processes; the mean loss of what is counted."""
        num_counted = sum(batch.num_counted for batch in batches)
        loss = torch.zeros(())
        for number, batch in enumerate(batches):
            if number and self.caught and self.processes.size == 1:
                raise _Cancelled
            mine = batch.share(self.processes.rank, self.processes.size)
            part = self.loss_of(self.model, mine) / num_counted
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        extra = torch.stack([loss, torch.tensor(float(bool(self.caught)))])
        summed = self.processes.add_up(self.model.parameters(), extra)
        if summed[1] and not self.caught:
            self.caught.append(15)  # another process was told to stop
        return summed[0]

    def _refuse_nonsense(self, loss: Tensor, norm: Tensor) -> None:
        if bool(torch.isfinite(loss)) and bool(torch.isfinite(norm)):
            return
        raise TrainingFailed(
            f"The loss of step {self.step + 1} is {float(loss)}, its gradient {float(norm)}.",
            "Lower learning_rate or raise warmup_steps and start the command again: it continues "
            "from the last checkpoint.",
            param="learning_rate",
        )

    def _after_step(self, result: StepResult) -> None:
        recipe, step = self.recipe, self.step
        if step % recipe.logging_steps == 0 and self.processes.is_first:
            self._report(result)
        if step == self.schedule.max_steps:
            return
        if step % recipe.eval_steps == 0:
            self._validate()
        if step % recipe.save_steps == 0 or self.standing.best_step == step:
            self._save()

    def _report(self, result: StepResult) -> None:
        seconds = self.clock.seconds_per_step
        report = StepReport(
            step=self.step,
            max_steps=self.schedule.max_steps,
            loss=result.loss,
            rate=self.schedule.rate(self.step - 1),
            tokens_per_second=result.num_tokens / max(seconds, 1e-9),
            seconds_left=seconds * (self.schedule.max_steps - self.step),
        )
        self.teller.step(report, self.standing, gradient_norm=result.gradient_norm)

    def _validate(self) -> float:
        loss = self.validation_loss()
        self.standing.note_validation(loss, delta=self.recipe.early_stopping_delta)
        if self.processes.is_first:
            self.teller.validation(loss, self.standing)
            kind = str(self.corpus.reports[0]["format"])
            self.teller.samples(self.model, self.corpus.encoder, self.step, kind)
            self.teller.curves()
        return loss

    @property
    def _is_stale(self) -> bool:
        patience = self.recipe.early_stopping_patience
        return patience is not None and self.standing.num_stale >= patience

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Return the mean loss over the held-out batches, in nats per counted token."""
        self.model.eval()
        sums = torch.zeros(2, dtype=torch.float64)
        for number, batch in enumerate(self.feed.held_out()):
            if number % self.processes.size == self.processes.rank:
                sums[0] += float(self.held_out_loss_of(self.model, batch))
                sums[1] += batch.num_counted
        self.model.train()
        total, num_counted = self.processes.total(sums).tolist()
        return float(total / num_counted)

    def _save(self) -> None:
        if self.processes.is_first:
            progress = self.standing.progress(self.feed.batches.state())
            save_checkpoint(self.recipe.run_dir, self.model, self.optimizers, progress)
            update_record(self.recipe.run_dir, self.for_record())
        self.processes.wait()

    def for_record(self) -> dict[str, int | float | None]:
        """How far the run is, for its record."""
        return self.standing.for_record(self.schedule.max_steps)
