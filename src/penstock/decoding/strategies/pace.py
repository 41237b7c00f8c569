"""How far ahead it pays to guess, from how the guesses of a text have fared so far."""

from dataclasses import dataclass

FIRST_LENGTH = 4
LONGEST_PAUSE = 31  # steps; then one short guess finds out whether the text repeats itself again


@dataclass(slots=True)
class Pace:
    """Lengthens where all guesses were right, shortens where they were not. Owned by a strategy.

    A guess costs a row of the step whether it is right or not. After several steps without a
    single right one there is a pause, each twice as long as the one before.
    """

    most: int  # tokens that may be guessed at once
    length: int = FIRST_LENGTH
    _pause: int = 0
    _left: int = 0  # of the pause

    def next_length(self) -> int:
        """How many tokens to guess now; 0 during a pause."""
        if self._left:
            self._left -= 1
            return 0
        return min(self.most, self.length)

    def note(self, num_guessed: int, num_right: int) -> None:
        """So many of the latest guesses were right."""
        if num_right:
            self._pause = 0
            is_all = num_right >= num_guessed
            self.length = min(self.most, 2 * self.length) if is_all else num_right + 1
            return
        self.length = max(1, self.length // 2)
        if self.length == 1:
            self._left = self._pause = min(LONGEST_PAUSE, 2 * self._pause + 1)
