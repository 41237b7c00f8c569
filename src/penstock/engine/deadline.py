"""Ends texts whose time is up, in whatever way their strategy ends a text. Knows no clock."""

from collections.abc import Sequence

from penstock.decoding.stopping import Stopping
from penstock.types import FinishReason


class UntilLate:
    """The `StopRule` of a request: once it is late, every text is complete as it stands."""

    def __init__(self, rule: Stopping) -> None:
        self._rule = rule
        self.is_late = False

    @property
    def max_new_tokens(self) -> int:
        return self._rule.max_new_tokens

    def reason(self, token_ids: Sequence[int]) -> FinishReason | None:
        """Why a sequence whose generated tokens are `token_ids` ends here, or `None`."""
        reason = self._rule.reason(token_ids)
        return FinishReason.TIME if reason is None and self.is_late else reason

    def num_shown(self, token_ids: Sequence[int]) -> int:
        """How many of the tokens of a text that the model or a stop string ends are before that."""
        return self._rule.num_shown(token_ids)
