"""DoLa: the last layer's opinion, as far as the earlier layers did not hold it yet."""

from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.candidates import DOLA_LAYERS
from penstock.decoding.parameters.filters import TEMPERATURE
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.parameters.penalties import REPETITION_PENALTY
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.sampling import Sampling


class Dola(Sampling):
    """`Sampling` from `dola_layers`' contrast, which is a step of the chain; else nothing is new.

    The defaults are the authors': no chance, and a repetition penalty, which it needs.
    """

    id: ClassVar[str] = "dola"
    label: ClassVar[str] = "DoLa"
    type: ClassVar[str] = "dola"
    description: ClassVar[str] = (
        "Compares what the model's last layer would say with what an earlier layer would have "
        "said, and prefers what only the last one knows. Earlier layers are good at grammar and "
        "at what usually comes next, facts come in later: the difference brings them out. Meant "
        "for questions with one right answer. Tokens that the last layer finds unlikely are never "
        "considered."
    )
    color: ClassVar[str] = "#2F7F7A"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        (*DRAWN, *EVERYWHERE),
        DOLA_LAYERS,
        main(TEMPERATURE, default=0.0),
        main(REPETITION_PENALTY, default=1.2),
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "reasoning",
            "Reasoning",
            "For longer answers: the lower layers know the least of what is thought out.",
            {"dola_layers": "low"},
        ),
        Preset(
            "with_chance",
            "With chance",
            "For several answers: drawn instead of chosen.",
            {"temperature": 0.7},
        ),
    )
