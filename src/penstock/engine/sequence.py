"""A sequence: the engine's mutable view of one line of tokens. Holds no tensors."""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Sequence:
    """Tokens, how many of them are in the KV cache, and in which blocks.

    A step lets a sequence catch up: its pending tokens are computed, the first time the whole
    prompt, later the last token. Owned by the engine; blocks are changed by `BlockManager` only.
    """

    id: int
    token_ids: list[int]
    num_prompt: int
    num_computed: int = 0
    block_table: list[int] = field(default_factory=list)
    total_surprise: float = 0.0  # bits: of all tokens generated, when each was drawn
    scores_from: int | None = None  # from this position on the logits of the prompt are wanted
    pools_from: int | None = None  # the same of its final hidden states

    @property
    def num_pending(self) -> int:
        """Tokens whose keys and values are not in the cache yet."""
        return len(self.token_ids) - self.num_computed

    @property
    def num_generated(self) -> int:
        return len(self.token_ids) - self.num_prompt
