"""Top-k sampling: a draw among a fixed number of the likeliest tokens."""

from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_K
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
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
