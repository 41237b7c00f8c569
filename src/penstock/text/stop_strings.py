"""Cuts a stream of text at the first stop string, wherever the stream is split; knows no tokens."""

from collections.abc import Callable, Iterator
from typing import AnyStr


class StopStringCutter:
    """Lets text through, holding back an end that could be the beginning of a stop string.

    The stop string that is complete first wins, of several that end together the longest: that is
    what a reader of single characters would see, so every split of a text gives the same cut.
    With `may_cut`, a stop string counts only after a text for which that is true.
    """

    def __init__(self, stop: tuple[str, ...], may_cut: Callable[[str], bool] | None = None) -> None:
        self._stop = stop
        self._may_cut = may_cut
        self._before = ""  # what was let through, where it matters
        self._held = ""
        self.matched: str | None = None  # the stop string that was found

    def push(self, text: str) -> tuple[str, bool]:
        """Take more text; return what is safe to show and whether a stop string was found.

        After a match nothing more comes out.
        """
        if not self._stop:
            return text, False
        if self.matched is not None:
            return "", True
        text = self._held + text
        cut = self._first_match(text)
        self._held = "" if cut is not None else self._possible_beginning(text)
        shown = text[: len(text) - len(self._held)] if cut is None else text[:cut]
        if self._may_cut is not None:
            self._before += shown
        return shown, self.matched is not None

    def flush(self) -> str:
        """Return what was held back: no more text will come to complete it."""
        held, self._held = self._held, ""
        return held

    def copy(self) -> "StopStringCutter":
        """Return an equal cutter that goes its own way, as a fork of a sequence does."""
        twin = StopStringCutter(self._stop, self._may_cut)
        twin._before = self._before
        twin._held = self._held
        twin.matched = self.matched
        return twin

    def _first_match(self, text: str) -> int | None:
        """Note the stop string that is complete first; return where it begins."""
        ends = [
            (start + len(stop), start, stop)
            for stop in self._stop
            for start in self._places(text, stop)
        ]
        if not ends:
            return None
        _, start, self.matched = min(ends)
        return start

    def _places(self, text: str, stop: str) -> Iterator[int]:
        """Where the stop string begins, as far as it counts there."""
        for start in occurrences(text, stop):
            if self._may_cut is None or self._may_cut(self._before + text[:start]):
                yield start

    def _possible_beginning(self, text: str) -> str:
        """Return the longest end of the text that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        for start in range(max(0, len(text) - longest), len(text)):
            end = text[start:]
            if any(stop.startswith(end) for stop in self._stop):
                return end
        return ""


def occurrences(text: AnyStr, wanted: AnyStr, start: int = 0) -> Iterator[int]:
    """Every place from `start` on where `wanted` begins in `text`; they may overlap."""
    while (start := text.find(wanted, start)) != -1:
        yield start
        start += 1
