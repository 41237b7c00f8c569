"""Contrastive search: likely tokens that do not lead the model back to where it has been."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.candidates import PENALTY_ALPHA
from penstock.decoding.parameters.filters import TOP_K
from penstock.decoding.parameters.groups import EVERYWHERE
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.interface import (
    Action,
    Agree,
    Append,
    Drop,
    Finish,
    Fork,
    Need,
    Probe,
    StepResult,
    StrategyInput,
)
from penstock.errors import InvalidParameter
from penstock.types import DecodingParams

MAX_PROBES = 16


@dataclass(frozen=True, slots=True)
class Tried:
    """A token that a live sequence ends with on trial, and its probability."""

    token_id: int
    probability: float


class ContrastiveSearch:
    """Computes the likeliest tokens all, and keeps the one whose hidden state is newest.

    The token with the greatest (1 - alpha) * probability - alpha * likeness, where likeness is the
    greatest cosine between its last hidden state and that of any token before it (Su et al. 2022).
    """

    id: ClassVar[str] = "contrastive_search"
    label: ClassVar[str] = "Contrastive search"
    type: ClassVar[str] = "contrastive_search"
    description: ClassVar[str] = (
        "Tries each of the likeliest next tokens and takes the one that is likely and still takes "
        "the model somewhere new: what it holds in mind after that token may not be too much like "
        "what it held before. Nothing is left to chance, and yet the text does not go round in "
        "circles as greedy search does. Costs one sequence for each token tried."
    )
    color: ClassVar[str] = "#7A5195"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        EVERYWHERE,
        PENALTY_ALPHA,
        main(
            TOP_K,
            default=4,
            minimum=1,
            maximum=MAX_PROBES,
            offered_minimum=1,
            offered_maximum=MAX_PROBES,
            description="How many of the likeliest tokens are tried.",
            effect="Higher has more to choose from and costs that many times the work.",
        ),
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "gentle",
            "Gentle",
            "For texts close to the prompt: likely words count for more than new ones.",
            {"penalty_alpha": 0.4},
        ),
        Preset(
            "wide",
            "Wide",
            "For long texts: more words are tried at each step.",
            {"top_k": 8},
        ),
    )

    def __init__(self, given: StrategyInput) -> None:
        self._given = given
        self._token_ids: list[int] = []
        self._tried: dict[int, Tried] = {}  # by the sequence that ends with it
        self._next_sequence_id = 1

    @classmethod
    def max_texts(cls, params: DecodingParams) -> int | None:
        if not 1 <= params.top_k <= MAX_PROBES:
            raise InvalidParameter(
                f"top_k={params.top_k} is out of range for contrastive search, which computes each "
                "of so many tokens.",
                f"Use 1 to {MAX_PROBES}.",
                param="top_k",
            )
        return 1

    @classmethod
    def max_live_sequences(cls, params: DecodingParams, num_texts: int) -> int:
        return params.top_k

    def need(self, sequence_id: int) -> Need:
        return Probe(self._given.params.top_k)

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        if not self._tried:
            return self._try_after(results[0])
        best = max(results, key=self._worth)  # the likelier of equals: it was tried first
        token_id = self._tried[best.sequence_id].token_id
        self._token_ids.append(token_id)
        reason = self._given.stop.reason(self._token_ids)
        if reason is not None:
            return [Finish(0, tuple(self._token_ids), reason)]
        dropped = [Drop(result.sequence_id) for result in results if result is not best]
        return [*self._try_after(best), *dropped, Agree(0, (token_id,))]

    def _worth(self, result: StepResult) -> float:
        alpha = self._given.params.penalty_alpha
        assert result.likeness is not None
        return (1 - alpha) * self._tried[result.sequence_id].probability - alpha * result.likeness

    def _try_after(self, result: StepResult) -> list[Action]:
        """Go on from a sequence with each of its likeliest tokens that is possible at all."""
        pairs = zip(result.token_ids, result.logprobs, strict=True)
        tried = [Tried(token_id, math.exp(logprob)) for token_id, logprob in pairs]
        first, *others = [t for t in tried if t.probability > 0] or tried[:1]
        actions: list[Action] = [Append(result.sequence_id, first.token_id)]
        self._tried = {result.sequence_id: first}
        for one in others:
            actions.append(Fork(result.sequence_id, self._next_sequence_id, one.token_id))
            self._tried[self._next_sequence_id] = one
            self._next_sequence_id += 1
        return actions
