"""The latest of something, in memory, gone when the server stops. Used on the event loop alone."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_ENTRIES = 1000
MAX_CHARACTERS = 16 * 2**20

T = TypeVar("T")


class Latest(Generic[T]):
    """Keeps so many entries of so many characters in all; the oldest go first."""

    def __init__(
        self,
        num_characters: Callable[[T], int],
        *,
        max_entries: int = MAX_ENTRIES,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self.max_entries = max_entries
        self._max_characters = max_characters
        self._measure = num_characters
        self._entries: OrderedDict[str, T] = OrderedDict()
        self._num_characters = 0

    def put(self, name: str, entry: T) -> None:
        """Keep an entry, in place of one of that name, and let the oldest go for it."""
        self.remove(name)
        self._entries[name] = entry
        self._num_characters += self._measure(entry)
        while len(self._entries) > self.max_entries or self._num_characters > self._max_characters:
            self.remove(next(iter(self._entries)))

    def get(self, name: str) -> T | None:
        """The entry, as long as it is kept."""
        return self._entries.get(name)

    def remove(self, name: str) -> None:
        """Forget an entry, if there is one."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._num_characters -= self._measure(entry)
