"""Measures the texts of a comparison, with a model as the judge of how expected they are."""

import asyncio
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.api.playground.answers import GenerateAnswer, SequenceAnswer
from penstock.api.playground.compare_answers import (
    ColumnMetrics,
    CompareMetrics,
    GroupMetrics,
    TextMetrics,
)
from penstock.api.services import Services
from penstock.errors import PenstockError
from penstock.evaluation.bleu import self_bleu
from penstock.evaluation.diversity import distinct, repetition, words_of
from penstock.serving.models import ServedModel
from penstock.types import ChosenLogprob, GenerationRequest, PromptScored


@dataclass(frozen=True, slots=True)
class Measuring:
    """Measures columns as they are finished. `groups` has a number for each column."""

    services: Services
    judge: str
    groups: Sequence[int]
    answers: dict[int, GenerateAnswer] = field(default_factory=dict)

    async def column(self, number: int, answer: GenerateAnswer) -> ColumnMetrics:
        """The figures of a finished column."""
        self.answers[number] = answer
        opening = answer.rendered_prompt if answer.continues_prompt else ""
        texts = (self._text(opening, sequence) for sequence in answer.sequences)
        timings = answer.timings
        return ColumnMetrics(
            column=number,
            latency_ms=round(timings.first_token_ms + timings.generation_ms, 2),
            texts=await asyncio.gather(*texts),
        )

    def group_metrics(self) -> list[GroupMetrics]:
        """The figures of each group that has a text, once all columns are finished."""
        found: dict[int, list[int]] = {}
        for number in sorted(self.answers):
            found.setdefault(self.groups[number], []).append(number)
        return [self._group(columns) for columns in found.values()]

    def metrics(self, columns: Sequence[ColumnMetrics]) -> CompareMetrics:
        """All figures."""
        return CompareMetrics(
            perplexity_model=self.judge, columns=list(columns), groups=self.group_metrics()
        )

    def _group(self, columns: list[int]) -> GroupMetrics:
        texts = [words_of(s.text) for number in columns for s in self.answers[number].sequences]
        return GroupMetrics(columns=columns, num_texts=len(texts), self_bleu=self_bleu(texts))

    async def _text(self, opening: str, sequence: SequenceAnswer) -> TextMetrics:
        words = words_of(sequence.text)
        perplexity, problem = await self._perplexity(opening, sequence.text)
        return TextMetrics(
            tokens=sequence.tokens,
            words=len(words),
            distinct_1=distinct(words, 1),
            distinct_2=distinct(words, 2),
            distinct_3=distinct(words, 3),
            repetition=repetition(words),
            loop_start=None if sequence.loop is None else sequence.loop.start,
            perplexity=perplexity,
            problem=problem,
        )

    async def _perplexity(self, opening: str, text: str) -> tuple[float | None, str | None]:
        """The text's perplexity for the judge, or why there is none."""
        if not text:
            return None, "The text is empty."
        try:
            scored = await self._scored(opening + text)
        except PenstockError as error:
            return None, str(error)
        logprobs = [c.chosen.logprob for c in _at_end(scored.logprobs, len(text.encode()))]
        if not logprobs or min(logprobs) == -math.inf:
            return None, "The text has no token with a finite probability."
        return math.exp(min(-math.fsum(logprobs) / len(logprobs), 700.0)), None

    async def _scored(self, text: str) -> PromptScored:
        """The scores of a whole text. The places that the column was admitted to are enough."""

        def build(model: ServedModel) -> GenerationRequest:
            return GenerationRequest(
                request_id=f"score-{uuid.uuid4().hex}",
                prompt=text,
                model=model.id,
                strategy="greedy",
                max_new_tokens=0,
                prompt_logprobs=0,
            )

        generation = await self.services.router.start(self.judge, build)
        try:
            outputs = [output async for output in generation.outputs]
        finally:
            generation.outputs.close()
        return next(output for output in outputs if isinstance(output, PromptScored))


def _at_end(logprobs: Sequence[ChosenLogprob], num_bytes: int) -> list[ChosenLogprob]:
    """The last tokens that cover so many bytes, as the judge cuts the text."""
    found: list[ChosenLogprob] = []
    for scored in reversed(logprobs):
        if num_bytes <= 0:
            break
        found.append(scored)
        num_bytes -= len(scored.chosen.utf8)
    return found
