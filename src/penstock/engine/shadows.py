"""Shadows: sequences that follow a request's own after its negative prompt, to guide them."""

from torch import Tensor

from penstock.engine.block_manager import BlockManager
from penstock.engine.prepare import PreparedRequest
from penstock.engine.sequence import Sequence, Source


class Shadows:
    """For each live sequence of one request its shadow, if it has any: same text, other prompt.

    A shadow is computed before its sequence, in the same step or an earlier one. Strategies know
    nothing of them. Changed by `ActiveRequest` only.
    """

    def __init__(self, prepared: PreparedRequest, salt: str | None) -> None:
        self._by_sequence: dict[int, Sequence] = {}
        self._logits: dict[Sequence, Tensor] = {}  # (vocab_size,) after all its tokens
        if prepared.shadow_token_ids is None:
            return
        first = list(prepared.shadow_token_ids)
        shadow = Sequence(0, first, num_prompt=len(first), is_shadow=True, salt=salt)
        if prepared.source_token_ids is not None:
            assert prepared.negative_token_ids is not None
            shadow.source = Source(prepared.negative_token_ids)
        self._by_sequence[0] = shadow

    def of(self, sequence_id: int) -> tuple[Sequence, ...]:
        """The shadow of a sequence; none where nothing guides it."""
        shadow = self._by_sequence.get(sequence_id)
        return () if shadow is None else (shadow,)

    def take(self, shadow: Sequence, logits: Tensor) -> None:
        """Keep what a shadow that has caught up comes to, until its sequence has."""
        self._logits[shadow] = logits.clone()

    def logits(self, sequence_id: int) -> Tensor | None:
        """What the shadow of a sequence came to (vocab_size,)."""
        shadow = self._by_sequence.get(sequence_id)
        return None if shadow is None else self._logits[shadow]

    def append(self, sequence_id: int, token_id: int) -> None:
        """Go on as the sequence does."""
        for shadow in self.of(sequence_id):
            shadow.token_ids.append(token_id)

    def fork(self, parent_id: int, child_id: int, token_id: int, blocks: BlockManager) -> None:
        """The child's shadow shares all that its parent's has computed."""
        for parent in self.of(parent_id):
            token_ids = [*parent.token_ids, token_id]
            child = Sequence(child_id, token_ids, num_prompt=parent.num_prompt, is_shadow=True)
            blocks.fork(parent, child)
            self._by_sequence[child_id] = child

    def drop(self, sequence_id: int, blocks: BlockManager) -> None:
        """Forget the shadow of a sequence that is dropped."""
        shadow = self._by_sequence.pop(sequence_id, None)
        if shadow is not None:
            blocks.free(shadow)
            self._logits.pop(shadow, None)
