"""Sampling: tokens are drawn at random from the processed distribution."""

from collections.abc import Sequence
from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_P
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.interface import (
    Action,
    Agree,
    Append,
    Draw,
    Drop,
    Finish,
    Fork,
    Need,
    StepResult,
    StrategyInput,
)
from penstock.types import DecodingParams


class Sampling:
    """Nucleus sampling; returned sequence `i` is engine sequence `i` and random stream `i`."""

    id: ClassVar[str] = "sampling"
    label: ClassVar[str] = "Nucleus sampling"
    type: ClassVar[str] = "nucleus_sampling"
    description: ClassVar[str] = (
        "Draws the next token at random from the nucleus: the fewest tokens whose probabilities "
        "add up to top-p. Where the model is sure the nucleus is small, where it is not many "
        "tokens have a chance, so the text stays fluent and still surprises."
    )
    color: ClassVar[str] = "#0072B2"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        (*DRAWN, *EVERYWHERE), TEMPERATURE, main(TOP_P, default=0.95)
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "careful",
            "Careful",
            "For explanations and answers: few surprises.",
            {"temperature": 0.6, "top_p": 0.9},
        ),
        Preset(
            "lively",
            "Lively",
            "For ideas: rarer words get a chance, and nonsense still does not.",
            {"temperature": 1.2, "top_p": 1.0, "min_p": 0.08},
        ),
        Preset(
            "storyteller",
            "Storyteller",
            "For long stories: the obvious word is often passed over, and phrases do not return.",
            {
                "temperature": 1.0,
                "top_p": 1.0,
                "min_p": 0.02,
                "xtc_probability": 0.5,
                "dry_multiplier": 0.8,
            },
        ),
    )

    def __init__(self, given: StrategyInput) -> None:
        self._stop = given.stop
        self._num_sequences = given.num_sequences
        self._token_ids: dict[int, list[int]] = {}
        self._live: set[int] = set()

    @classmethod
    def max_texts(cls, params: DecodingParams) -> int | None:
        return None

    @classmethod
    def max_live_sequences(cls, params: DecodingParams, num_texts: int) -> int:
        return num_texts

    def need(self, sequence_id: int) -> Need:
        return Draw((sequence_id,)) if self._token_ids else Draw(tuple(range(self._num_sequences)))

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        if not self._token_ids:
            return self._branch(results[0].token_ids)
        actions: list[Action] = []
        for result in results:
            actions += self._extend(result.sequence_id, result.token_ids[0])
        return actions

    def _branch(self, first_tokens: tuple[int, ...]) -> list[Action]:
        """The prompt's only logits serve the first draw of every returned sequence."""
        self._token_ids = {index: [] for index in range(self._num_sequences)}
        self._live = set(self._token_ids)
        actions: list[Action] = []
        for index in reversed(range(self._num_sequences)):
            actions += self._extend(index, first_tokens[index], is_new=index > 0)
        return actions

    def _extend(self, index: int, token_id: int, *, is_new: bool = False) -> list[Action]:
        token_ids = self._token_ids[index]
        token_ids.append(token_id)
        reason = self._stop.reason(token_ids)
        if reason is not None:
            self._live.discard(index)
            finish = Finish(index, tuple(token_ids), reason)
            return [finish] if is_new else [finish, Drop(index)]
        step = Fork(0, index, token_id) if is_new else Append(index, token_id)
        return [step, Agree(index, (token_id,))]
