"""Controlled generation: sampling led by a control code, a topic's words and an attribute."""

from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_P
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.parameters.request import CONTROL_CODE
from penstock.decoding.parameters.words import (
    ATTRIBUTE,
    ATTRIBUTE_STRENGTH,
    TOPIC_STRENGTH,
    TOPIC_WORDS,
)
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.sampling import Sampling


class Controlled(Sampling):
    """`Sampling` with what leads a text in view; every other strategy knows the same parameters.

    Without a code and without words it is nucleus sampling.
    """

    id: ClassVar[str] = "controlled"
    label: ClassVar[str] = "Controlled"
    type: ClassVar[str] = "controlled"
    description: ClassVar[str] = (
        "Nucleus sampling that you steer in three ways. A control code is put before the prompt: "
        "models trained with such codes know what genre or task it stands for. The words of a "
        "topic are made likelier until they have been written, so that the text turns to their "
        "subject without being forced to use any of them. And an attribute, which a small "
        "classifier learnt from labelled texts, makes likelier what speaks for it."
    )
    color: ClassVar[str] = "#A05195"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        (*DRAWN, *EVERYWHERE),
        main(TOPIC_WORDS),
        main(TOPIC_STRENGTH),
        main(ATTRIBUTE),
        main(ATTRIBUTE_STRENGTH),
        main(CONTROL_CODE),
        TEMPERATURE,
        main(TOP_P, default=0.95),
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "strongly",
            "Strongly on topic",
            "For poems and posters: the topic is everywhere.",
            {"topic_strength": 6.0},
        ),
        Preset(
            "away",
            "Away from a topic",
            "For leaving out a subject: its words become rare, though not impossible.",
            {"topic_strength": -6.0},
        ),
        Preset(
            "summary",
            "Summary with T5",
            "For T5, which was trained on this code: a summary of the prompt.",
            {"control_code": "summarize:", "temperature": 0.3},
        ),
    )
