"""Beam search: several candidate texts are extended side by side and the likeliest are kept.

The choices are those of `BeamGroup`; see `tests/decoding/test_same_as_transformers.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from penstock.decoding.parameters import Parameter
from penstock.decoding.parameters.beams import EARLY_STOPPING, LENGTH_PENALTY, NUM_BEAMS
from penstock.decoding.parameters.groups import EVERYWHERE
from penstock.decoding.parameters.request import NUM_RETURN_SEQUENCES
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.beam_group import (
    Beam,
    BeamGroup,
    Candidate,
    Carriers,
    num_agreed,
)
from penstock.decoding.strategies.beam_tree import BeamTree
from penstock.decoding.strategies.interface import (
    Action,
    Agree,
    Finish,
    Need,
    StepResult,
    StrategyInput,
    Tell,
    Top,
)
from penstock.types import DecodingParams


class BeamSearch:
    """Keeps the `num_beams` likeliest candidates alive and the best complete ones aside."""

    id: ClassVar[str] = "beam_search"
    label: ClassVar[str] = "Beam search"
    type: ClassVar[str] = "beam_search"
    description: ClassVar[str] = (
        "Extends several candidate texts side by side and keeps those that are likeliest as a "
        "whole, so a weak word now can pay off later. Good where one right answer is wanted, such "
        "as translation; in stories it tends to be dull and to repeat itself. Shown while it "
        "runs: the beginning on which all candidates agree."
    )
    color: ClassVar[str] = "#CC79A7"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        NUM_BEAMS,
        LENGTH_PENALTY,
        EARLY_STOPPING,
        NUM_RETURN_SEQUENCES,
        *EVERYWHERE,
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "translation",
            "Translation",
            "For translations: four beams, as most systems use, and a slight liking for length.",
            {"num_beams": 4, "length_penalty": 1.2, "early_stopping": True},
        ),
        Preset(
            "summary",
            "Summary",
            "For summaries: rather long than too short, and nothing said twice.",
            {
                "num_beams": 4,
                "length_penalty": 2.0,
                "early_stopping": True,
                "no_repeat_ngram_size": 3,
            },
        ),
    )

    def __init__(self, given: StrategyInput) -> None:
        self._given = given
        self._groups = self._make_groups()
        self._carriers = Carriers()
        self._tree = BeamTree() if given.tells_tree else None
        self._num_agreed = 0

    @classmethod
    def max_texts(cls, params: DecodingParams) -> int | None:
        return params.num_beams

    @classmethod
    def max_live_sequences(cls, params: DecodingParams, num_texts: int) -> int:
        return params.num_beams

    def need(self, sequence_id: int) -> Need:
        return Top(max(group.num_candidates for group in self._groups))

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        by_id = {result.sequence_id: result for result in results}
        alive = [self._choose(group, by_id) for group in self._groups]
        told = [] if self._tree is None else [self._tree.grow(self._groups, alive)]
        everybody = [candidate for candidates in alive for candidate in candidates]
        beams, actions = self._carriers.carry(everybody)
        if not beams:
            return self._finish(told)
        for group, candidates in zip(self._groups, alive, strict=True):
            group.beams, beams = beams[: len(candidates)], beams[len(candidates) :]
        return [*actions, *told, *self._agree()]

    def _make_groups(self) -> list[BeamGroup]:
        return [BeamGroup(self._given.params.num_beams, self._given)]

    def _choose(self, group: BeamGroup, results: Mapping[int, StepResult]) -> list[Candidate]:
        """Those of a group who live on."""
        return group.choose(
            candidate
            for beam in group.beams
            for candidate in self._extend(beam, results[beam.sequence_id])
        )

    def _extend(self, beam: Beam, result: StepResult) -> Iterator[Candidate]:
        for token_id, logprob in zip(result.token_ids, result.logprobs, strict=True):
            yield Candidate(beam, token_id, beam.score + logprob, beam.score + logprob)

    def _agree(self) -> list[Action]:
        """Show what can no longer change: the beginning that everything in the running shares."""
        texts = [beam.token_ids for group in self._groups for beam in group.beams]
        texts += [text.token_ids for group in self._groups for text in group.hypotheses]
        end = num_agreed(texts, self._num_agreed)
        new, self._num_agreed = texts[0][self._num_agreed : end], end
        return [Agree(i, new) for i in range(self._given.num_sequences)] if new else []

    def _finish(self, told: Sequence[Tell]) -> list[Action]:
        """The best texts of all groups; again from the first where there are too few."""
        complete = [hypothesis for group in self._groups for hypothesis in group.hypotheses]
        best = sorted(complete, key=lambda h: h.rank)
        best = [h for h in best if len(h.missing_words) == len(best[0].missing_words)]
        indices = range(self._given.num_sequences)
        texts = [best[index % len(best)] for index in indices]
        finishes = [
            Finish(i, h.token_ids, h.reason, h.score, h.missing_words) for i, h in enumerate(texts)
        ]
        if self._tree is None:
            return [*finishes]
        returned = self._tree.numbers(finish.token_ids for finish in finishes)
        return [*(replace(tell, returned=returned) for tell in told), *finishes]
