"""Sampling that guesses ahead, wherever the guesses come from."""

from collections.abc import Sequence
from itertools import groupby

from penstock.decoding.parameters.groups import DRAWN, EVERYWHERE
from penstock.decoding.strategies.interface import Action, StepResult, StrategyInput
from penstock.decoding.strategies.sampling import Sampling

# Mirostat's filter depends on the tokens before, which are not certain while they are guessed.
GUESSED = tuple(p for p in (*DRAWN, *EVERYWHERE) if not p.name.startswith("mirostat"))


class GuessingSampling(Sampling):
    """`Sampling`, token for token, in fewer steps where the guesses are right.

    Each token is drawn with the number that belongs to its position, so a guess is right exactly
    when sampling would have drawn it: the distribution cannot change.
    """

    def __init__(self, given: StrategyInput) -> None:
        super().__init__(given)
        self._given = given

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        actions: list[Action] = []
        lengths = {index: len(token_ids) for index, token_ids in self._token_ids.items()}
        for sequence_id, its_results in groupby(results, key=lambda r: r.sequence_id):
            for result in its_results:
                actions += super().decide([result])
                if sequence_id not in self._live:
                    break
        for index in sorted(self._live):
            self._note(index, len(self._token_ids[index]) - lengths.get(index, 0))
            actions += self._guess(index)
        return actions

    def _note(self, index: int, num_new: int) -> None:
        """A live sequence has so many new tokens; all but the last were guessed."""

    def _room(self, index: int) -> int:
        """How many guesses may be right: checking them gives one token more."""
        return self._given.stop.max_new_tokens - len(self._token_ids[index]) - 1

    def _guess(self, index: int) -> list[Action]:
        """What a live sequence asks to have checked next."""
        raise NotImplementedError
