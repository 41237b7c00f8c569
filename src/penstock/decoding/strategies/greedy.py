"""Greedy search: the likeliest token, every time."""

from collections.abc import Sequence
from typing import ClassVar

from penstock.decoding.parameters import Parameter
from penstock.decoding.parameters.groups import EVERYWHERE
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.interface import (
    Action,
    Agree,
    Append,
    Argmax,
    Finish,
    Need,
    StepResult,
    StrategyInput,
)
from penstock.types import DecodingParams


class Greedy:
    """Takes the likeliest token at every step."""

    id: ClassVar[str] = "greedy"
    label: ClassVar[str] = "Greedy"
    type: ClassVar[str] = "greedy"
    description: ClassVar[str] = (
        "Always takes the single likeliest next token. The same prompt always gives the same text, "
        "and the text is safe but soon repeats itself, because each likely word makes the next "
        "likely word likelier still. The yardstick for every other strategy."
    )
    color: ClassVar[str] = "#D55E00"
    parameters: ClassVar[tuple[Parameter, ...]] = EVERYWHERE
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "no_loops",
            "Without loops",
            "For longer texts: no three tokens in a row come twice.",
            {"no_repeat_ngram_size": 3},
        ),
        Preset(
            "fresh_words",
            "Fresh words",
            "For lists: a token that was written has to be much likelier to come again.",
            {"repetition_penalty": 1.2},
        ),
    )

    def __init__(self, given: StrategyInput) -> None:
        self._stop = given.stop
        self._token_ids: list[int] = []

    @classmethod
    def max_texts(cls, params: DecodingParams) -> int | None:
        return 1

    @classmethod
    def max_live_sequences(cls, params: DecodingParams, num_texts: int) -> int:
        return 1

    def need(self, sequence_id: int) -> Need:
        return Argmax()

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        (token_id,) = results[0].token_ids
        self._token_ids.append(token_id)
        reason = self._stop.reason(self._token_ids)
        if reason is None:
            return [Append(0, token_id), Agree(0, (token_id,))]
        return [Finish(0, tuple(self._token_ids), reason)]
