"""Gathers how likely the model found a prompt, while the prompt is computed in pieces."""

from collections.abc import Sequence

from torch import Tensor

from penstock.decoding.scoring import score
from penstock.engine.outputs import named
from penstock.engine.wording import id_of_word
from penstock.text.tokenizer import Tokenizer
from penstock.types import ChosenLogprob, GenerationRequest, PromptScored, Token


class PromptScores:
    """The scores of one prompt. `take` gives them out once."""

    def __init__(
        self, request: GenerationRequest, prompt: Sequence[int], tokenizer: Tokenizer
    ) -> None:
        self._request_id = request.request_id
        self._prompt = prompt
        self._num_top = request.prompt_logprobs or 0
        self._named = tuple(id_of_word(word) for word in request.named_tokens)
        self._tokenizer = tokenizer
        self._logprobs: list[ChosenLogprob] = []
        self._is_taken = False

    def add(self, positions: range, logits: Tensor) -> None:
        """Score the tokens after `positions`; logits (num_positions, vocab_size)."""
        token_ids = [self._prompt[position + 1] for position in positions]
        reports = score(logits, token_ids, self._num_top, self._named)
        for token_id, report in zip(token_ids, reports, strict=True):
            top = tuple(named(self._tokenizer, *pair) for pair in report.top)
            chosen = named(self._tokenizer, token_id, report.chosen[0])
            others = tuple(named(self._tokenizer, *pair) for pair in report.named)
            self._logprobs.append(ChosenLogprob(chosen, top, named=others))

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
