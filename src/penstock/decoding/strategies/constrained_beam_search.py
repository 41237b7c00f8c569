"""Constrained beam search: beam search for the likeliest text that contains given words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import ClassVar

from penstock.decoding.parameters import Parameter, with_own
from penstock.decoding.parameters.beams import (
    EARLY_STOPPING,
    FORCE_WORDS,
    LENGTH_PENALTY,
    NUM_BEAMS,
)
from penstock.decoding.parameters.groups import EVERYWHERE
from penstock.decoding.parameters.request import NUM_RETURN_SEQUENCES
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.beam_group import (
    Beam,
    BeamGroup,
    Candidate,
    Hypothesis,
    TokenIds,
)
from penstock.decoding.strategies.beam_search import BeamSearch
from penstock.decoding.strategies.forced_words import ForcedWords, Standing
from penstock.decoding.strategies.interface import Need, StepResult, StrategyInput, Top
from penstock.types import FinishReason, token_ids_of


class ConstrainedGroup(BeamGroup):
    """A group that shares its places out among candidates by how far they are with their words.

    Candidates that are equally far form a bank. The banks take turns, the furthest first, until
    all places are taken (Post and Vilar 2018, as transformers' `ConstrainedBeamSearchScorer` has
    it). A text is complete when the model ends it among the best of its bank; one that lacks a word
    counts less than any that does not.
    """

    def __init__(self, size: int, given: StrategyInput, words: ForcedWords) -> None:
        super().__init__(size, given)
        self._words = words
        self._standings: Mapping[TokenIds, Standing] = {(): words.start}  # of the live texts
        self._steps: Mapping[TokenIds, Mapping[int, Standing]] = {(): words.steps(words.start)}

    def next_tokens(self, beam: Beam) -> tuple[int, ...]:
        """The tokens that bring a live beam on with its words."""
        return self._words.next_tokens(self._standings[beam.token_ids])

    def choose(self, extensions: Iterable[Candidate]) -> list[Candidate]:
        alive = super().choose(extensions)
        self._standings = {c.token_ids: self._standing(c) for c in alive}
        self._steps = {text: self._words.steps(s) for text, s in self._standings.items()}
        return alive

    def _select(self, extensions: Iterable[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
        banks: dict[int, list[Candidate]] = {}
        for candidate in sorted(self._judge(list(extensions)), key=lambda c: -c.score):
            progress = self._words.progress(self._standing(candidate))
            banks.setdefault(progress, []).append(candidate)
        furthest_first = [banks[progress] for progress in sorted(banks, reverse=True)]
        complete = [c for bank in furthest_first for c in bank[: self._size] if _is_ended(c)]
        going_on = list(_in_turns([c for c in bank if not _is_ended(c)] for bank in furthest_first))
        going_on = going_on[: self._size]
        return complete + [c for c in going_on if c.reason is not None], going_on

    def _hypothesis(self, candidate: Candidate, reason: FinishReason) -> Hypothesis:
        plain = super()._hypothesis(candidate, reason)
        missing = self._standing(candidate).missing
        return Hypothesis(plain.token_ids, plain.score, reason, missing)

    def _standing(self, candidate: Candidate) -> Standing:
        """Where a candidate stands; of one that ends, without what a stop string cuts off."""
        before = candidate.parent.token_ids
        if not _is_ended(candidate):
            lost = Standing(self._standings[before].missing)
            return self._steps[before].get(candidate.token_id, lost)
        shown = candidate.token_ids[: self._given.stop.num_shown(candidate.token_ids)]
        return self._standings[before] if shown == before else self._words.follow(shown)


class ConstrainedBeamSearch(BeamSearch):
    """`BeamSearch` for texts that contain words, whatever that costs them in likelihood.

    Beside the best extensions of all beams, each beam is extended by its own best and by whatever
    brings it on with its words (Hokamp and Liu 2017, Post and Vilar 2018). So the furthest beam
    comes on with every step: after as many tokens as there are words, times those of the longest,
    it has them all, as far as the other settings allow them. Unlike in transformers, words may
    overlap, one already begun may be begun anew, and words of the prompt do not count.
    """

    id: ClassVar[str] = "constrained_beam_search"
    label: ClassVar[str] = "Constrained beam search"
    type: ClassVar[str] = "constrained_beam_search"
    description: ClassVar[str] = (
        "Beam search that must use the words you give it, and finds the likeliest text that does. "
        "The beams are shared out among texts with no word yet, with one, with two and so on, so "
        "that a text which has just been forced to take a word is not at once crowded out by "
        "those that have not. For titles with a name in them, stories with a moral, translations "
        "with a fixed term. Shown while it runs: the beginning on which all candidates agree."
    )
    color: ClassVar[str] = "#8C564B"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        EVERYWHERE,
        FORCE_WORDS,
        NUM_BEAMS,
        LENGTH_PENALTY,
        EARLY_STOPPING,
        NUM_RETURN_SEQUENCES,
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "title",
            "Title",
            "For titles and slogans with a given word: short, and searched for thoroughly.",
            {"num_beams": 8, "length_penalty": 0.5, "max_new_tokens": 16},
        ),
        Preset(
            "many_words",
            "Many words",
            "For several words in one text: more beams to share out, and nothing said twice.",
            {"num_beams": 10, "no_repeat_ngram_size": 3},
        ),
    )

    _group: ConstrainedGroup

    def need(self, sequence_id: int) -> Need:
        (beam,) = (beam for beam in self._group.beams if beam.sequence_id == sequence_id)
        return Top(self._group.num_candidates, self._group.next_tokens(beam))

    def _make_groups(self) -> list[BeamGroup]:
        params = self._given.params
        words = ForcedWords(tuple(tuple(map(token_ids_of, w)) for w in params.force_words))
        self._group = ConstrainedGroup(params.num_beams, self._given, words)
        return [self._group]

    def _choose(self, group: BeamGroup, results: Mapping[int, StepResult]) -> list[Candidate]:
        num_own = 1 + max(1, len(self._given.eos_token_ids))  # one of them does not end the text
        best: list[Candidate] = []
        others: list[Candidate] = []
        for beam in group.beams:
            mine = list(self._extend(beam, results[beam.sequence_id]))
            best += mine[: group.num_candidates]
            others += mine[:num_own] + mine[group.num_candidates :]
        best = sorted(best, key=lambda c: -c.key)[: group.num_candidates]
        return group.choose({c.token_ids: c for c in best + others}.values())


def _is_ended(candidate: Candidate) -> bool:
    return candidate.reason is FinishReason.STOP


def _in_turns(banks: Iterable[Sequence[Candidate]]) -> Iterator[Candidate]:
    """The first of each bank, then the second of each, and so on."""
    rounds = zip_longest(*banks)
    return (candidate for candidate in chain.from_iterable(rounds) if candidate is not None)
