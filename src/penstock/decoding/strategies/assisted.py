"""Assisted generation: a smaller model guesses, the large one checks several tokens in one step."""

from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_P
from penstock.decoding.parameters.guessing import DRAFT_NUM_TOKENS
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.guessing import GUESSED, GuessingSampling
from penstock.decoding.strategies.interface import Action, Draft


class Assisted(GuessingSampling):
    """Guesses with the model's draft (Leviathan et al. 2023; Chen et al. 2023), coupled otherwise.

    The draft draws each token through the same chain with the number that the model will draw with
    at that place. So both draw the same wherever they think alike, and no rule of acceptance is
    needed to keep the model's distribution.
    """

    id: ClassVar[str] = "assisted"
    label: ClassVar[str] = "Assisted"
    type: ClassVar[str] = "assisted"
    description: ClassVar[str] = (
        "Writes exactly what nucleus sampling writes with the same seed (at temperature 0, what "
        "greedy search writes). A smaller model of the same kind runs ahead and drafts the next "
        "few tokens, which is cheap; the large model reads them all at once and keeps those it "
        "would have written itself. Needs a model that was loaded with a draft model."
    )
    color: ClassVar[str] = "#8A6D00"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        GUESSED, TEMPERATURE, main(TOP_P, default=0.95), DRAFT_NUM_TOKENS
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "sure",
            "Sure",
            "For the likeliest text, sooner: a small model often knows it, so drafts are long.",
            {"temperature": 0.0, "draft_num_tokens": 8},
        ),
        Preset(
            "lively",
            "Lively",
            "For surprising texts, which a small model foresees less: drafts are short.",
            {"temperature": 1.1, "draft_num_tokens": 3},
        ),
    )

    def _guess(self, index: int) -> list[Action]:
        count = min(self._given.params.draft_num_tokens, self._room(index))
        return [Draft(index, count)] if count > 0 else []
