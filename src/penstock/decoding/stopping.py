"""When a sequence is complete: the end token, a stop string, or enough tokens."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from penstock.text.stop_strings import occurrences
from penstock.types import FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The `StopRule` of one request. Looks only at the end of a sequence, so it keeps no state."""

    max_new_tokens: int
    eos_token_ids: frozenset[int]
    stop: tuple[bytes, ...]  # UTF-8; it is self-synchronising, so bytes match where characters do
    token_bytes: Callable[[int], bytes]
    may_stop_after: Callable[[bytes], bool] | None = None  # a text that a stop string would end

    def reason(self, token_ids: Sequence[int]) -> FinishReason | None:
        """Why a sequence whose generated tokens are `token_ids` ends here, or `None`."""
        if token_ids[-1] in self.eos_token_ids or any(self._completed_stops(token_ids)):
            return FinishReason.STOP
        return FinishReason.LENGTH if len(token_ids) >= self.max_new_tokens else None

    def num_shown(self, token_ids: Sequence[int]) -> int:
        """How many of the tokens are wholly before the end token or the stop string they end in."""
        if token_ids[-1] in self.eos_token_ids:
            return len(token_ids) - 1
        _, num_cut = max(self._completed_stops(token_ids))  # as `StopStringCutter` chooses
        num_kept = len(token_ids)
        while num_cut > 0:
            num_kept -= 1
            num_cut -= len(self.token_bytes(token_ids[num_kept]))
        return num_kept

    def _completed_stops(self, token_ids: Sequence[int]) -> Iterator[tuple[int, int]]:
        """The stop strings that the last token completes: bytes after their end, and from their
        beginning on.
        """
        if not self.stop:
            return
        last = self.token_bytes(token_ids[-1])
        tail = last
        longest = max(map(len, self.stop))
        for token_id in reversed(token_ids[:-1]):
            if len(tail) >= longest + len(last) - 1:
                break
            tail = self.token_bytes(token_id) + tail
        start_of_last = len(tail) - len(last)
        for stop in self.stop:
            for start in occurrences(tail, stop, max(0, start_of_last - len(stop) + 1)):
                num_cut = len(tail) - start
                if self._may_stop_before(token_ids, num_cut):
                    yield num_cut - len(stop), num_cut

    def _may_stop_before(self, token_ids: Sequence[int], num_cut: int) -> bool:
        """Whether the text without its last `num_cut` bytes may be all."""
        if self.may_stop_after is None:
            return True
        text = b"".join(map(self.token_bytes, token_ids))
        return self.may_stop_after(text[: len(text) - num_cut])
