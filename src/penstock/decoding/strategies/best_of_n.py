"""Best of n: several texts are drawn, and those that the model finds likeliest are returned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.candidates import NUM_CANDIDATES
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_P
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.beam_group import num_agreed
from penstock.decoding.strategies.interface import (
    Action,
    Agree,
    Append,
    Draw,
    Drop,
    Finish,
    Fork,
    Need,
    StepResult,
    StrategyInput,
)
from penstock.types import DecodingParams, FinishReason


@dataclass(slots=True)
class Attempt:
    """One text in the making, and how likely the model itself found its tokens."""

    token_ids: list[int] = field(default_factory=list)
    total_logprob: float = 0.0
    reason: FinishReason | None = None

    @property
    def score(self) -> float:
        return self.total_logprob / len(self.token_ids)


class BestOfN:
    """Attempt `i` is engine sequence `i` and random stream `i`, as text `i` of `Sampling` is."""

    id: ClassVar[str] = "best_of_n"
    label: ClassVar[str] = "Best of several"
    type: ClassVar[str] = "best_of_n"
    description: ClassVar[str] = (
        "Draws several texts as nucleus sampling does and returns the one whose tokens the model "
        "finds likeliest on average, its own probabilities counting and not those it was drawn "
        "with. Keeps the variety of sampling and throws away the worst slips, at the price of "
        "writing every text. Shown while it runs: the beginning on which all texts agree."
    )
    color: ClassVar[str] = "#56B4E9"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        (*DRAWN, *EVERYWHERE), NUM_CANDIDATES, TEMPERATURE, main(TOP_P, default=0.95)
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "quick",
            "Quick",
            "For everyday use: the better of two.",
            {"num_candidates": 2},
        ),
        Preset(
            "thorough",
            "Thorough",
            "For the one text that matters: ten lively attempts, of which the most coherent stays.",
            {"num_candidates": 10, "temperature": 1.0},
        ),
    )

    def __init__(self, given: StrategyInput) -> None:
        self._given = given
        self._attempts = [Attempt() for _ in range(given.params.num_candidates)]
        self._num_agreed = 0

    @classmethod
    def max_texts(cls, params: DecodingParams) -> int | None:
        return params.num_candidates

    @classmethod
    def max_live_sequences(cls, params: DecodingParams, num_texts: int) -> int:
        return params.num_candidates

    def need(self, sequence_id: int) -> Need:
        is_first = not self._attempts[0].token_ids
        streams = tuple(range(len(self._attempts))) if is_first else (sequence_id,)
        return Draw(streams, is_scored=True)

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        if not self._attempts[0].token_ids:
            actions = self._branch(results[0])
        else:
            actions = []
            for result in results:
                self._take(result.sequence_id, result.token_ids[0], result.logprobs[0])
                actions.append(self._go_on(result.sequence_id))
        is_over = all(attempt.reason for attempt in self._attempts)
        return self._finish() if is_over else actions + self._agree()

    def _branch(self, result: StepResult) -> list[Action]:
        """The prompt's only logits serve the first draw of every attempt."""
        pairs = zip(result.token_ids, result.logprobs, strict=True)
        for index, (token_id, logprob) in enumerate(pairs):
            self._take(index, token_id, logprob)
        others = [i for i, a in enumerate(self._attempts) if i > 0 and a.reason is None]
        forks: list[Action] = [Fork(0, i, self._attempts[i].token_ids[0]) for i in others]
        return [*forks, self._go_on(0)]

    def _take(self, index: int, token_id: int, logprob: float) -> None:
        attempt = self._attempts[index]
        attempt.token_ids.append(token_id)
        attempt.total_logprob += logprob
        attempt.reason = self._given.stop.reason(attempt.token_ids)

    def _go_on(self, index: int) -> Action:
        attempt = self._attempts[index]
        return Append(index, attempt.token_ids[-1]) if attempt.reason is None else Drop(index)

    def _agree(self) -> list[Action]:
        """Any attempt may win: only what all of them begin with is certain."""
        texts = [attempt.token_ids for attempt in self._attempts]
        end = num_agreed(texts, self._num_agreed)
        new, self._num_agreed = tuple(texts[0][self._num_agreed : end]), end
        return [Agree(i, new) for i in range(self._given.num_sequences)] if new else []

    def _finish(self) -> list[Action]:
        best = sorted(self._attempts, key=lambda attempt: -attempt.score)
        return [
            Finish(index, tuple(attempt.token_ids), attempt.reason, attempt.score)
            for index, attempt in enumerate(best[: self._given.num_sequences])
            if attempt.reason is not None
        ]
