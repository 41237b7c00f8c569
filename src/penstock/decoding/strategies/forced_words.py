"""How far a text has come with the words that it must contain. Knows token ids only."""

from collections.abc import Iterator
from dataclasses import dataclass

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ForcedWords:
    """Words, each with its alternatives: a text has a word that contains one of them, unbroken.

    A word is named by its place. What is still missing never grows as a text does.
    """

    words: tuple[tuple[TokenIds, ...], ...]

    def missing(self, text: TokenIds) -> TokenIds:
        """The words that a whole text does not have."""
        missing = tuple(range(len(self.words)))
        for end in range(1, len(text) + 1):
            missing = self.still_missing(missing, text[:end])
        return missing

    def still_missing(self, missing: TokenIds, text: TokenIds) -> TokenIds:
        """Those of the words missing before the last token of `text` that still are."""
        return tuple(i for i in missing if not any(_ends(text, word) for word in self.words[i]))

    def next_tokens(self, missing: TokenIds, text: TokenIds) -> TokenIds:
        """What brings the text on: the next token of each word that it has begun, or any first."""
        begun = [word[size] for word, size in self._matches(missing, text) if size]
        first = [word[0] for i in missing for word in self.words[i]]
        return tuple(dict.fromkeys(begun or first))

    def progress(self, missing: TokenIds, text: TokenIds) -> int:
        """More with every token that brings the text on, and with every word most of all.

        Every word that is there counts as the longest, then what is begun of another, at best.
        """
        longest = max((len(word) for words in self.words for word in words), default=0)
        most_begun = max((size for _, size in self._matches(missing, text)), default=0)
        return (len(self.words) - len(missing)) * longest + most_begun

    def _matches(self, missing: TokenIds, text: TokenIds) -> Iterator[tuple[TokenIds, int]]:
        """Every way to have a missing word, and how many of its first tokens end the text."""
        for word in (word for i in missing for word in self.words[i]):
            sizes = range(min(len(word) - 1, len(text)), 0, -1)
            yield word, next((size for size in sizes if _ends(text, word[:size])), 0)


def _ends(text: TokenIds, word: TokenIds) -> bool:
    """Whether the text ends with the word."""
    return text[-len(word) :] == word
