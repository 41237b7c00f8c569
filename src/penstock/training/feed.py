"""The batches of a run: what each step learns from, and what is held out. Knows no weights."""

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.training.batches import (
    Batch,
    MixedBatches,
    packed,
    validation_batches,
    validation_examples,
)
from penstock.training.corpus import Corpus
from penstock.training.recipe import Recipe
from penstock.training.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Draws the batches of one run. Owns the position in the data, which `batches` has."""

    recipe: Recipe
    corpus: Corpus
    schedule: Schedule
    batches: MixedBatches
    context: int | None  # of the model; none where there is no end
    pad_id: int

    def next_step(self, step: int) -> list[Batch]:
        """The passes of the step that follows `step` done ones."""
        return [self.next(step) for _ in range(self.recipe.gradient_accumulation_steps)]

    def next(self, step: int) -> Batch:
        """One pass of the step that follows `step` done ones."""
        recipe, weights = self.recipe, self._weights(step)
        if self.corpus.sources[0].kind != "text":
            return self.batches.next_examples(recipe.batch_size, weights, pad_id=self.pad_id)
        block_size = self._block_size(step)
        num_rows = recipe.batch_size * recipe.block_size // block_size
        room = (self.context or block_size) - block_size
        first = self.batches.draw_below(room + 1) if recipe.shift_positions else 0
        return packed(self.batches.next(num_rows, block_size, weights), first)

    def held_out(self) -> Iterator[Batch]:
        """The same batches every time, of what no step learns from."""
        recipe, source = self.recipe, self.corpus.validation
        if source.kind != "text":
            yield from validation_examples(
                source,
                batch_size=recipe.batch_size,
                max_batches=recipe.validation_batches,
                pad_id=self.pad_id,
            )
            return
        block_size = recipe.final_block_size or recipe.block_size
        for rows in validation_batches(
            source,
            block_size=block_size,
            batch_size=recipe.batch_size * recipe.block_size // block_size,
            max_batches=recipe.validation_batches,
        ):
            yield packed(rows, 0)

    def _block_size(self, step: int) -> int:
        recipe = self.recipe
        is_final = step >= self.schedule.max_steps - recipe.final_block_steps
        return (recipe.final_block_size if is_final else None) or recipe.block_size

    def _weights(self, step: int) -> list[float]:
        cooling = self.schedule.is_cooling(step)
        return [
            s.cooldown_weight if cooling and s.cooldown_weight is not None else s.weight
            for s in self.recipe.data
        ]
