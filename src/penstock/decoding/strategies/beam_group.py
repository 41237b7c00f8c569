"""What all beam strategies share: candidate texts that compete, and who carries them.

A group keeps its likeliest candidates alive and its best complete texts aside. Follows
transformers' `GenerationMixin._beam_search` (its scores, its early stopping and the order of its
choices), so that the tokens are the same.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from penstock.decoding.strategies.interface import Action, Append, Drop, Fork, StrategyInput
from penstock.types import FinishReason

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Beam:
    """A live candidate: its engine sequence, the tokens it generated and their log-probability."""

    sequence_id: int
    token_ids: TokenIds
    score: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A beam extended by one token, and why it ends there, if it does.

    Who has the greatest `key` is chosen; among the chosen, the greatest `score` leads.
    """

    parent: Beam
    token_id: int
    score: float
    key: float
    reason: FinishReason | None = None

    @property
    def token_ids(self) -> TokenIds:
        return (*self.parent.token_ids, self.token_id)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A complete candidate with its length-normalised score."""

    token_ids: TokenIds
    score: float
    reason: FinishReason
    missing_words: tuple[int, ...] = ()  # places in `force_words` of those that are not in it

    @property
    def rank(self) -> tuple[int, float]:
        """The least is the best: no score makes up for a word that had to be there."""
        return len(self.missing_words), -self.score


class BeamGroup:
    """At most `size` live beams and as many complete texts. Starts with the prompt alone."""

    def __init__(self, size: int, given: StrategyInput) -> None:
        self._size = size
        self._given = given
        self.beams: Sequence[Beam] = (Beam(0, (), 0.0),)
        self.hypotheses: list[Hypothesis] = []  # best first, at most `size`
        self.latest: Sequence[int] = ()  # the tokens that its beams went on with in the last step
        self.is_done = False

    @property
    def num_candidates(self) -> int:
        """Enough that `size` remain even when every beam's likeliest token ends the text."""
        return max(2, 1 + len(self._given.eos_token_ids)) * self._size

    def choose(self, extensions: Iterable[Candidate]) -> list[Candidate]:
        """Those who live on, best first; nobody when the group is done."""
        complete, going_on = self._select(extensions)
        self.hypotheses = self._keep(complete)
        going_on = sorted(going_on, key=lambda c: -c.score)
        self.latest = [c.token_id for c in going_on]
        alive = [c for c in going_on if c.reason is None]
        self.is_done = not alive or self._cannot_improve(alive[0])
        return [] if self.is_done else alive

    def _select(self, extensions: Iterable[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
        """Those that are complete, and at most `size` that the model has not ended."""
        ranked = sorted(extensions, key=lambda c: -c.key)[: self.num_candidates]
        chosen = self._judge(ranked)
        going_on = [c for c in chosen if c.reason is not FinishReason.STOP]
        going_on = sorted(going_on, key=lambda c: -c.score)
        complete = [c for c in chosen[: self._size] if c.reason is not None]
        return complete, going_on[: self._size]

    def _judge(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, each with why it ends; none that is impossible."""
        possible = [c for c in candidates if c.score > -math.inf] or candidates
        return [replace(c, reason=self._given.stop.reason(c.token_ids)) for c in possible]

    def _keep(self, complete: Iterable[Candidate]) -> list[Hypothesis]:
        new = [self._hypothesis(c, c.reason) for c in complete if c.reason is not None]
        return sorted(self.hypotheses + new, key=lambda h: h.rank)[: self._size]

    def _hypothesis(self, candidate: Candidate, reason: FinishReason) -> Hypothesis:
        score = self._normalise(candidate.score, len(candidate.token_ids))
        return Hypothesis(candidate.token_ids, score, reason)

    def _normalise(self, score: float, length: int) -> float:
        return float(score / length**self._given.params.length_penalty)

    def _cannot_improve(self, best: Candidate) -> bool:
        """Whether nothing alive can improve on what is complete, as far as is worth looking."""
        if len(self.hypotheses) < self._size or self.hypotheses[-1].missing_words:
            return False
        best_possible = self._normalise(best.score, len(best.token_ids))
        return self._given.params.early_stopping or best_possible <= self.hypotheses[-1].score


class Carriers:
    """The engine sequences that carry the beams of all groups."""

    def __init__(self) -> None:
        self._live = [0]
        self._next_sequence_id = 1

    def carry(self, alive: Iterable[Candidate]) -> tuple[list[Beam], list[Action]]:
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
        actions += [Drop(sequence_id) for sequence_id in self._live if sequence_id not in extended]
        self._live = [beam.sequence_id for beam in beams]
        return beams, actions


def num_agreed(texts: Sequence[Sequence[int]], start: int) -> int:
    """How many tokens at the beginning of all texts are the same; `start` are known to be."""
    end, shortest = start, min(map(len, texts))
    while end < shortest and all(text[end] == texts[0][end] for text in texts):
        end += 1
    return end
