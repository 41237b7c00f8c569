"""When a sequence is complete: the end token, a stop string, or enough tokens."""

from collections.abc import Callable, Sequence
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
        if token_ids[-1] in self.eos_token_ids or self._last_token_completes_stop(token_ids):
            return FinishReason.STOP
        return FinishReason.LENGTH if len(token_ids) >= self.max_new_tokens else None

    def _last_token_completes_stop(self, token_ids: Sequence[int]) -> bool:
        if not self.stop:
            return False
        last = self.token_bytes(token_ids[-1])
        tail = last
        longest = max(map(len, self.stop))
        for token_id in reversed(token_ids[:-1]):
            if len(tail) >= longest + len(last) - 1:
                break
            tail = self.token_bytes(token_id) + tail
        start_of_last = len(tail) - len(last)
        starts = (
            start
            for stop in self.stop
            for start in occurrences(tail, stop, max(0, start_of_last - len(stop) + 1))
        )
        if self.may_stop_after is None:
            return any(True for _ in starts)
        text = b"".join(map(self.token_bytes, token_ids))
        return any(self.may_stop_after(text[: len(text) - len(tail) + start]) for start in starts)
