"""Prompt lookup: sampling that guesses ahead from what the text says already."""

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from penstock.decoding.parameters import Parameter, main, with_own
from penstock.decoding.parameters.filters import TEMPERATURE, TOP_P
from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.parameters.guessing import (
    MAX_MATCHING_NGRAM_SIZE,
    PROMPT_LOOKUP_NUM_TOKENS,
)
from penstock.decoding.presets import Preset
from penstock.decoding.strategies.interface import (
    Action,
    Guess,
    StepResult,
    StrategyInput,
)
from penstock.decoding.strategies.sampling import Sampling


class PromptLookup(Sampling):
    """`Sampling`, token for token, in fewer steps where the text repeats itself (Saxena 2023).

    Each token is drawn with the number that belongs to its position, so a guess is right exactly
    when sampling would have drawn it: the distribution cannot change.
    """

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
        tuple(p for p in (*DRAWN, *EVERYWHERE) if not p.name.startswith("mirostat")),
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
        self._given = given

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        actions: list[Action] = []
        for sequence_id, its_results in groupby(results, key=lambda r: r.sequence_id):
            for result in its_results:
                actions += super().decide([result])
                if sequence_id not in self._live:
                    break
        return actions + [guess for index in sorted(self._live) for guess in self._guess(index)]

    def _guess(self, index: int) -> list[Action]:
        """How the text went on after its last tokens the last time, as far as it may go on."""
        params, written = self._given.params, self._token_ids[index]
        room = self._given.stop.max_new_tokens - len(written) - 1  # checking gives one token more
        guesses = look_up(
            [*self._given.prompt_token_ids, *written],
            longest=params.max_matching_ngram_size,
            count=min(params.prompt_lookup_num_tokens, room),
        )
        return [Guess(index, guesses)] if guesses else []


def look_up(token_ids: Sequence[int], *, longest: int, count: int) -> tuple[int, ...]:
    """`count` tokens that followed the latest earlier occurrence of the last ones.

    The last `longest` tokens are looked for, then one fewer and so on; empty if even the last token
    is new.
    """
    if count <= 0:
        return ()
    ends = [end for end in range(1, len(token_ids)) if token_ids[end - 1] == token_ids[-1]]
    best, best_size = 0, 0
    for end in reversed(ends):
        size = 1
        while size < min(longest, end) and token_ids[end - 1 - size] == token_ids[-1 - size]:
            size += 1
        if size > best_size:
            best, best_size = end, size
    if not best:
        return ()
    text = list(token_ids)
    for place in range(best, best + count):  # may read what it has just guessed: a loop goes on
        text.append(text[place])
    return tuple(text[len(token_ids) :])
