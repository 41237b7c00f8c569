"""Beam search: several candidate texts are extended side by side and the likeliest are kept.

Follows transformers' `GenerationMixin._beam_search` (its scores, its early stopping and the order
of its choices), so that the tokens are the same; see `tests/decoding/test_beam_search.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import ClassVar

from penstock.decoding.parameters import Parameter
from penstock.decoding.parameters.beams import EARLY_STOPPING, LENGTH_PENALTY, NUM_BEAMS
from penstock.decoding.parameters.groups import EVERYWHERE
from penstock.decoding.parameters.request import NUM_RETURN_SEQUENCES
from penstock.decoding.strategies.interface import (
    Action,
    Agree,
    Append,
    Drop,
    Finish,
    Fork,
    Need,
    StepResult,
    StrategyInput,
    Top,
)
from penstock.types import FinishReason

NO_CHANCE = float("-inf")


@dataclass(frozen=True, slots=True)
class Beam:
    """A live candidate: its engine sequence, the tokens it generated and their log-probability."""

    sequence_id: int
    token_ids: tuple[int, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A beam extended by one token, and why it ends there, if it does."""

    parent: Beam
    token_id: int
    score: float
    reason: FinishReason | None

    @property
    def token_ids(self) -> tuple[int, ...]:
        return (*self.parent.token_ids, self.token_id)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A complete candidate with its length-normalised score."""

    token_ids: tuple[int, ...]
    score: float
    reason: FinishReason


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

    def __init__(self, given: StrategyInput) -> None:
        self._given = given
        self._num_beams = given.params.num_beams
        self._beams = [Beam(0, (), 0.0)]
        self._next_sequence_id = 1
        self._hypotheses: list[Hypothesis] = []  # best first, at most `num_beams`
        self._num_agreed = 0

    @property
    def _num_candidates(self) -> int:
        """Enough that `num_beams` remain even when every beam's likeliest token ends the text."""
        return max(2, 1 + len(self._given.eos_token_ids)) * self._num_beams

    def need(self, sequence_id: int) -> Need:
        return Top(self._num_candidates)

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        candidates = self._rank(results)
        self._hypotheses = self._keep_complete(candidates[: self._num_beams])
        alive = [c for c in candidates if c.reason is None][: self._num_beams]
        if not alive or self._is_done(alive):
            return self._finish()
        actions = self._continue_with(alive)
        return actions + self._agree()

    def _rank(self, results: Sequence[StepResult]) -> list[Candidate]:
        """The best extensions of all beams together, best first."""
        by_id = {result.sequence_id: result for result in results}
        scored = [
            (beam.score + logprob, beam, token_id)
            for beam in self._beams
            for token_id, logprob in zip(
                by_id[beam.sequence_id].token_ids, by_id[beam.sequence_id].logprobs, strict=True
            )
        ]
        possible = [item for item in scored if item[0] > NO_CHANCE]
        scored = sorted(possible or scored, key=lambda item: -item[0])
        return [
            Candidate(beam, token_id, score, self._given.stop.reason((*beam.token_ids, token_id)))
            for score, beam, token_id in scored[: self._num_candidates]
        ]

    def _keep_complete(self, candidates: Sequence[Candidate]) -> list[Hypothesis]:
        complete = [
            Hypothesis(c.token_ids, self._normalise(c.score, len(c.token_ids)), c.reason)
            for c in candidates
            if c.reason is not None
        ]
        merged = sorted(self._hypotheses + complete, key=lambda h: -h.score)
        return merged[: self._num_beams]

    def _normalise(self, score: float, length: int) -> float:
        return float(score / length**self._given.params.length_penalty)

    def _is_done(self, alive: Sequence[Candidate]) -> bool:
        """Whether nothing alive can improve on what is complete, as far as is worth looking."""
        if len(self._hypotheses) < self._num_beams:
            return False
        best_possible = self._normalise(alive[0].score, len(alive[0].token_ids))
        return self._given.params.early_stopping or best_possible <= self._hypotheses[-1].score

    def _continue_with(self, alive: Sequence[Candidate]) -> list[Action]:
        """Extend, fork and drop engine sequences until they are exactly the candidates alive."""
        actions: list[Action] = []
        beams: list[Beam] = []
        extended: set[int] = set()
        for candidate in alive:
            parent_id = candidate.parent.sequence_id
            if parent_id in extended:
                sequence_id = self._next_sequence_id
                self._next_sequence_id += 1
                actions.append(Fork(parent_id, sequence_id, candidate.token_id))
            else:
                sequence_id = parent_id
                extended.add(parent_id)
                actions.append(Append(parent_id, candidate.token_id))
            beams.append(Beam(sequence_id, candidate.token_ids, candidate.score))
        actions += [Drop(b.sequence_id) for b in self._beams if b.sequence_id not in extended]
        self._beams = beams
        return actions

    def _agree(self) -> list[Action]:
        """Show what can no longer change: the beginning that everything in the running shares."""
        texts = [b.token_ids for b in self._beams] + [h.token_ids for h in self._hypotheses]
        first = self._beams[0].token_ids
        end = self._num_agreed
        while end < min(map(len, texts)) and all(t[end] == first[end] for t in texts):
            end += 1
        new, self._num_agreed = first[self._num_agreed : end], end
        return [Agree(i, new) for i in range(self._given.num_sequences)] if new else []

    def _finish(self) -> list[Action]:
        """Give out the best; where a constraint allows fewer texts than asked for, some twice."""
        best = islice(cycle(self._hypotheses), self._given.num_sequences)
        return [Finish(i, h.token_ids, h.reason, h.score) for i, h in enumerate(best)]
