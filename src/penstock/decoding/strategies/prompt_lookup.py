"""Prompt lookup: sampling that guesses ahead from what the text says already."""

from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_P
from penstock.decoding.parameters.guessing import (
    MAX_MATCHING_NGRAM_SIZE,
    PROMPT_LOOKUP_NUM_TOKENS,
)
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.guessing import GUESSED, GuessingSampling
from penstock.decoding.strategies.interface import Action, Guess, StrategyInput
from penstock.decoding.strategies.pace import Pace
from penstock.decoding.strategies.phrases import Phrases


class PromptLookup(GuessingSampling):
    """Guesses that the text goes on as it did before (Saxena 2023)."""

    id: ClassVar[str] = "prompt_lookup"
    label: ClassVar[str] = "Prompt lookup"
    type: ClassVar[str] = "prompt_lookup"
    description: ClassVar[str] = (
        "Writes exactly what nucleus sampling writes with the same seed (at temperature 0, what "
        "greedy search writes), only quicker: when the last words have occurred before, it guesses "
        "that the text goes on as it did then, and checks all guessed tokens in one step. It pays "
        "where the answer quotes the prompt: summaries, corrections, code."
    )
    color: ClassVar[str] = "#0B6E99"
    parameters: ClassVar[tuple[Parameter, ...]] = with_own(
        GUESSED,
        TEMPERATURE,
        main(TOP_P, default=0.95),
        PROMPT_LOOKUP_NUM_TOKENS,
        MAX_MATCHING_NGRAM_SIZE,
    )
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "correcting",
            "Correcting",
            "For corrections and rewriting: the likeliest text, with long guesses.",
            {"temperature": 0.0, "prompt_lookup_num_tokens": 20},
        ),
        Preset(
            "code",
            "Code",
            "For changing code: guesses only where much of the line agrees.",
            {"temperature": 0.2, "prompt_lookup_num_tokens": 16, "max_matching_ngram_size": 6},
        ),
    )

    def __init__(self, given: StrategyInput) -> None:
        super().__init__(given)
        self._phrases: dict[int, Phrases] = {}
        self._paces: dict[int, Pace] = {}
        self._num_guessed: dict[int, int] = {}  # at the latest step, by text

    def _note(self, index: int, num_new: int) -> None:
        """Of so many new tokens all but the last were guessed."""
        if index not in self._phrases:
            params, prompt = self._given.params, self._given.prompt_token_ids
            self._phrases[index] = Phrases(prompt, longest=params.max_matching_ngram_size)
            self._paces[index] = Pace(params.prompt_lookup_num_tokens)
        self._phrases[index].extend(self._token_ids[index][-num_new:])
        num_guessed = self._num_guessed.pop(index, 0)
        if num_guessed:
            self._paces[index].note(num_guessed, num_new - 1)

    def _guess(self, index: int) -> list[Action]:
        """How the text went on after its last tokens the last time, as far as that pays."""
        count = min(self._paces[index].next_length(), self._room(index))
        guesses = self._phrases[index].continuation(count)
        if not guesses:
            return []
        self._num_guessed[index] = len(guesses)
        return [Guess(index, guesses)]
