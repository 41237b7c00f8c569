"""Beam sampling: as beam search, but who lives on is drawn at random."""

from collections.abc import Iterator
from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.beams import EARLY_STOPPING, LENGTH_PENALTY, NUM_BEAMS
from penstock.decoding.parameters.filters import TEMPERATURE
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.beam_group import Beam, Candidate
from penstock.decoding.strategies.beam_search import BeamSearch
from penstock.decoding.strategies.interface import DrawDistinct, Need, StepResult


class BeamSampling(BeamSearch):
    """`BeamSearch` whose candidates are drawn without replacement, in proportion to the score.

    As transformers with `num_beams` and `do_sample`: temperature and filters work on each beam's
    own log-probabilities, and a beam's score adds up what they leave.
    """

    id: ClassVar[str] = "beam_sampling"
    label: ClassVar[str] = "Beam sampling"
    type: ClassVar[str] = "beam_sampling"
    description: ClassVar[str] = (
        "Extends several candidate texts side by side as beam search does, but draws at random "
        "which of them live on: likelier candidates more often, unlikely ones now and then. The "
        "text stays likely as a whole, and another seed gives another text. Livelier than beam "
        "search, more careful than sampling."
    )
    color: ClassVar[str] = "#E69F00"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        (*DRAWN, *EVERYWHERE),
        main(TEMPERATURE, default=1.0),
        main(NUM_BEAMS, default=4),
        LENGTH_PENALTY,
        EARLY_STOPPING,
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "steady",
            "Steady",
            "For likely texts that differ a little each time.",
            {"temperature": 0.6},
        ),
        Preset(
            "bold",
            "Bold",
            "For texts that are likely as a whole and still take unlikely turns.",
            {"num_beams": 6, "temperature": 1.4, "top_k": 50},
        ),
    )

    def need(self, sequence_id: int) -> Need:
        if self._given.params.temperature == 0:
            return super().need(sequence_id)
        (group,) = self._groups
        is_alone = self._given.params.num_beams == 1
        min_kept = 1 if is_alone else max(2, 1 + len(self._given.eos_token_ids))
        return DrawDistinct(group.num_candidates, min_kept)

    def _extend(self, beam: Beam, result: StepResult) -> Iterator[Candidate]:
        keys = result.keys or result.logprobs
        for token_id, logprob, key in zip(result.token_ids, result.logprobs, keys, strict=True):
            yield Candidate(beam, token_id, beam.score + logprob, beam.score + key)
