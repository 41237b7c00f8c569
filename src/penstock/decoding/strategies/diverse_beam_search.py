"""Diverse beam search: groups of beams that keep away from each other's choices."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.beams import (
    DIVERSITY_PENALTY,
    EARLY_STOPPING,
    LENGTH_PENALTY,
    NUM_BEAM_GROUPS,
    NUM_BEAMS,
)
from penstock.decoding.parameters.groups import EVERYWHERE
from penstock.decoding.parameters.request import NUM_RETURN_SEQUENCES
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.beam_group import Beam, BeamGroup, Candidate
from penstock.decoding.strategies.beam_search import BeamSearch
from penstock.decoding.strategies.interface import Need, StepResult, StrategyInput, Top


class DiverseBeamSearch(BeamSearch):
    """`BeamSearch` in groups that choose in turn (Vijayakumar et al. 2018, Hamming diversity).

    As transformers' former group beam search: a token costs `diversity_penalty` for every beam of
    an earlier group that has chosen it in the same step, and this stays in the beam's score. Unlike
    there, a group that is done holds nobody back, and groups need not be of equal size.
    """

    id: ClassVar[str] = "diverse_beam_search"
    label: ClassVar[str] = "Diverse beam search"
    type: ClassVar[str] = "diverse_beam_search"
    description: ClassVar[str] = (
        "Beam search whose beams are divided into groups. The groups choose one after the other, "
        "and a word that an earlier group has just chosen counts less for the later ones, so that "
        "they go different ways. For when you want several good answers that are not all the "
        "same sentence; ask for as many texts as there are beams to see every group's."
    )
    color: ClassVar[str] = "#F0E442"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        EVERYWHERE,
        main(NUM_BEAMS, default=6),
        NUM_BEAM_GROUPS,
        DIVERSITY_PENALTY,
        LENGTH_PENALTY,
        EARLY_STOPPING,
        NUM_RETURN_SEQUENCES,
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "every_way",
            "Every way",
            "For choosing: six texts, each from a group of its own.",
            {"num_beam_groups": 6, "diversity_penalty": 1.5, "num_return_sequences": 6},
        ),
        Preset(
            "second_opinion",
            "Second opinion",
            "For comparing: the best text, and the best that begins differently.",
            {"num_beams": 4, "num_beam_groups": 2, "num_return_sequences": 2},
        ),
    )

    def __init__(self, given: StrategyInput) -> None:
        super().__init__(given)
        self._chosen: Counter[int] = Counter()  # by earlier groups, in this step

    def need(self, sequence_id: int) -> Need:
        """So many that enough remain when all that earlier groups chose fall behind."""
        most = max(group.num_candidates for group in self._groups)
        return Top(most + self._given.params.num_beams)

    def _make_groups(self) -> list[BeamGroup]:
        params = self._given.params
        num_groups = min(params.num_beam_groups, params.num_beams)
        size, num_larger = divmod(params.num_beams, num_groups)
        return [BeamGroup(size + (index < num_larger), self._given) for index in range(num_groups)]

    def _choose(self, group: BeamGroup, results: Mapping[int, StepResult]) -> list[Candidate]:
        if group is self._groups[0]:
            self._chosen.clear()
        if group.is_done:
            return []
        alive = super()._choose(group, results)
        self._chosen.update(group.latest)
        return alive

    def _extend(self, beam: Beam, result: StepResult) -> Iterator[Candidate]:
        penalty = self._given.params.diversity_penalty
        for token_id, logprob in zip(result.token_ids, result.logprobs, strict=True):
            score = beam.score + logprob - penalty * self._chosen[token_id]
            yield Candidate(beam, token_id, score, score)
