"""Processors that look back, so that the text does not repeat itself.

Frequency and presence penalty: https://platform.openai.com/docs/api-reference/completions; they
count what was generated, not the prompt.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import add, forbid


class RepetitionPenalty(LogitsProcessor):
    """Makes tokens that occurred less likely, as CTRL does (Keskar et al. 2019)."""

    name = "repetition_penalty"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        penalties = [row.params.repetition_penalty for row in rows]
        return _penalise(logits, [set(row.token_ids) for row in rows], penalties)


class EncoderRepetitionPenalty(LogitsProcessor):
    """Makes tokens of the prompt likelier, so that the text keeps to it."""

    name = "encoder_repetition_penalty"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        penalties = [1 / row.params.encoder_repetition_penalty for row in rows]
        return _penalise(logits, [set(row.prompt_token_ids) for row in rows], penalties)


class FrequencyPenalty(LogitsProcessor):
    """Lowers a token's logit for every time it was generated, as OpenAI's API does."""

    name = "frequency_penalty"

    def is_active(self, row: Row) -> bool:
        return row.num_generated > 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        counts = [Counter(row.generated_token_ids) for row in rows]
        return add(
            logits,
            [
                {token_id: -row.params.frequency_penalty * n for token_id, n in count.items()}
                for row, count in zip(rows, counts, strict=True)
            ],
        )


class PresencePenalty(LogitsProcessor):
    """Lowers a token's logit once it was generated, as OpenAI's API does."""

    name = "presence_penalty"

    def is_active(self, row: Row) -> bool:
        return row.num_generated > 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return add(
            logits,
            [dict.fromkeys(row.generated_token_ids, -row.params.presence_penalty) for row in rows],
        )


class NoRepeatNgram(LogitsProcessor):
    """Forbids every token that would complete an n-gram that has already occurred."""

    name = "no_repeat_ngram_size"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return forbid(
            logits,
            [
                _repeats(row.token_ids, row.token_ids, row.params.no_repeat_ngram_size)
                for row in rows
            ],
        )


class EncoderNoRepeatNgram(LogitsProcessor):
    """Forbids every token that would complete an n-gram of the prompt."""

    name = "encoder_no_repeat_ngram_size"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return forbid(
            logits,
            [
                _repeats(
                    row.prompt_token_ids, row.token_ids, row.params.encoder_no_repeat_ngram_size
                )
                for row in rows
            ],
        )


def _penalise(logits: Tensor, seen: Sequence[set[int]], penalties: Sequence[float]) -> Tensor:
    """Divide positive logits of the tokens seen by the row's penalty, multiply negative ones."""
    where = [(i, token_id) for i, token_ids in enumerate(seen) for token_id in token_ids]
    if not where:
        return logits
    index = torch.tensor(where, device=logits.device).unbind(1)
    penalty = logits.new_tensor(penalties)[index[0]]
    scores = logits[index]
    penalised = torch.where(scores < 0, scores * penalty, scores / penalty)
    return logits.index_put(index, penalised)


def _repeats(source: Sequence[int], token_ids: Sequence[int], size: int) -> set[int]:
    """The tokens that would complete an n-gram of `source` of this size if they came next."""
    if len(token_ids) < size - 1:
        return set()
    prefix = tuple(token_ids[len(token_ids) - size + 1 :])
    starts = range(len(source) - size + 1)
    return {source[i + size - 1] for i in starts if tuple(source[i : i + size - 1]) == prefix}
