"""Gathers how likely the model found a prompt, while the prompt is computed in pieces."""

from collections.abc import Sequence

from torch import Tensor

from penstock.decoding.scoring import score
from penstock.engine.outputs import named
from penstock.text.tokenizer import Tokenizer
from penstock.types import ChosenLogprob, PromptScored, Token


class PromptScores:
    """The scores of one prompt. `take` gives them out once."""

    def __init__(
        self, request_id: str, prompt: Sequence[int], num_top: int, tokenizer: Tokenizer
    ) -> None:
        self._request_id = request_id
        self._prompt = prompt
        self._num_top = num_top
        self._tokenizer = tokenizer
        self._logprobs: list[ChosenLogprob] = []
        self._is_taken = False

    def add(self, positions: range, logits: Tensor) -> None:
        """Score the tokens after `positions`; logits (num_positions, vocab_size)."""
        token_ids = [self._prompt[position + 1] for position in positions]
        reports = score(logits, token_ids, self._num_top)
        for token_id, report in zip(token_ids, reports, strict=True):
            top = tuple(named(self._tokenizer, *pair) for pair in report.top)
            chosen = named(self._tokenizer, token_id, report.chosen[0])
            self._logprobs.append(ChosenLogprob(chosen, top))

    def take(self) -> list[PromptScored]:
        """All scores, the first time."""
        if self._is_taken:
            return []
        self._is_taken = True
        first = self._prompt[0]
        return [
            PromptScored(
                request_id=self._request_id,
                first=Token(
                    first,
                    self._tokenizer.token_text(first),
                    tuple(self._tokenizer.token_bytes(first)),
                ),
                logprobs=tuple(self._logprobs),
            )
        ]
