"""How far a text has come with the words that it must contain. Knows token ids only."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a text still lacks, and which ways to have it its end has begun."""

    missing: TokenIds  # places of words
    begun: tuple[tuple[int, int], ...] = ()  # a way's place, and how many of its tokens are there


class ForcedWords:
    """Words, each with several ways to have it: a text has a word if one stands in it, unbroken.

    A way is an entry of `words[i]`, and all ways together are bounded where a request is prepared,
    so that following a text costs no more with every token than they have tokens.
    """

    def __init__(self, words: tuple[tuple[TokenIds, ...], ...]) -> None:
        self._ways = [(place, way) for place, ways in enumerate(words) for way in ways]
        self._longest = max((len(way) for _, way in self._ways), default=0)
        self._num_words = len(words)
        self.start = Standing(tuple(range(len(words))))

    def follow(self, text: TokenIds) -> Standing:
        """Where a whole text stands."""
        standing = self.start
        for token_id in text:
            standing = self.steps(standing).get(token_id, Standing(standing.missing))
        return standing

    def steps(self, standing: Standing) -> Mapping[int, Standing]:
        """Where a text stands after each token that brings it on; others take what it has begun."""
        reached: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for index, (place, way) in enumerate(self._ways):
            if place in standing.missing:
                reached[way[0]].append((index, 1))
        for index, size in standing.begun:
            reached[self._ways[index][1][size]].append((index, size + 1))
        return {token_id: self._at(standing, begun) for token_id, begun in reached.items()}

    def next_tokens(self, standing: Standing) -> TokenIds:
        """What brings a text on: the next token of each way it has begun, or any first."""
        begun = [self._ways[index][1][size] for index, size in standing.begun]
        first = [way[0] for place, way in self._ways if place in standing.missing]
        return tuple(dict.fromkeys(begun or first))

    def progress(self, standing: Standing) -> int:
        """More with every token that brings a text on, and with every word most of all.

        Every word that is there counts as the longest, then what is begun of another, at best.
        """
        num_there = self._num_words - len(standing.missing)
        return num_there * self._longest + max((size for _, size in standing.begun), default=0)

    def _at(self, before: Standing, reached: list[tuple[int, int]]) -> Standing:
        """Where a text stands that has reached so much of some ways, one of them perhaps whole."""
        found = {self._ways[i][0] for i, size in reached if size == len(self._ways[i][1])}
        missing = tuple(place for place in before.missing if place not in found)
        begun = tuple((i, size) for i, size in reached if self._ways[i][0] not in found)
        return Standing(missing, begun)
