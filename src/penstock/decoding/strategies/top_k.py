"""Top-k sampling: a draw among a fixed number of the likeliest tokens."""

from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_K
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.sampling import Sampling


class TopK(Sampling):
    """`Sampling` with other defaults: the filter is a count, not a share of the probability."""

    id: ClassVar[str] = "top_k"
    label: ClassVar[str] = "Top-k sampling"
    type: ClassVar[str] = "top_k_sampling"
    description: ClassVar[str] = (
        "Draws the next token at random from the k likeliest ones, however sure the model is. "
        "Simple and lively; where only one word fits it may still draw a wrong one, and where "
        "hundreds fit it leaves most of them out."
    )
    color: ClassVar[str] = "#009E73"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        (*DRAWN, *EVERYWHERE), TEMPERATURE, main(TOP_K, default=50)
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "narrow",
            "Narrow",
            "For short, sure texts: only the ten likeliest words.",
            {"top_k": 10, "temperature": 0.7},
        ),
        Preset(
            "classic",
            "Classic",
            "As the first stories of GPT-2 were written: forty words, at the model's own odds.",
            {"top_k": 40, "temperature": 1.0},
        ),
    )
