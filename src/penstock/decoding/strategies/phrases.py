"""Finds where the last words of a growing text occurred before. Knows no strategies."""

from collections.abc import Iterable


class Phrases:
    """A text's tokens, each with its earlier place. Owned by one strategy; only grows."""

    def __init__(self, token_ids: Iterable[int], *, longest: int) -> None:
        self._longest = longest
        self._token_ids: list[int] = []
        self._latest: dict[int, int] = {}  # by token: the latest place
        self._earlier: list[int] = []  # by place: the place before of the same token, or -1
        self.extend(token_ids)

    def extend(self, token_ids: Iterable[int]) -> None:
        for token_id in token_ids:
            self._earlier.append(self._latest.get(token_id, -1))
            self._latest[token_id] = len(self._token_ids)
            self._token_ids.append(token_id)

    def continuation(self, count: int) -> tuple[int, ...]:
        """`count` tokens that followed the latest earlier occurrence of the last ones.

        The last `longest` tokens are looked for, then one fewer and so on; empty if even the last
        token is new.
        """
        if count <= 0 or not self._token_ids:
            return ()
        best, best_size, place = -1, 0, self._earlier[-1]
        while place >= 0 and best_size < self._longest:
            size = self._num_same(place)
            if size > best_size:
                best, best_size = place, size
            place = self._earlier[place]
        if best < 0:
            return ()
        found = self._token_ids[best + 1 : best + 1 + count]
        while len(found) < count:  # it reads what it has just guessed: a loop goes on
            found += found[: count - len(found)]
        return tuple(found)

    def _num_same(self, place: int) -> int:
        """How many tokens up to `place` are the last ones, as far as that matters."""
        token_ids, size = self._token_ids, 1
        while (
            size < min(self._longest, place + 1) and token_ids[place - size] == token_ids[-1 - size]
        ):
            size += 1
        return size
