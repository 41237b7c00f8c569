"""How large an engine is. The one home of these defaults."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Limits of one engine. Counts are tokens, sequences, blocks or bytes as named."""

    block_size: int = 16  # tokens per block of the KV cache
    cache_bytes: int = 1 << 30  # at most; memory is taken as blocks are first written
    num_blocks: int | None = None  # overrides `cache_bytes`
    max_batch_tokens: int = 256  # tokens computed in one step
    max_sequences: int = 64  # sequences that run at the same time
    prefix_cache: bool = True  # what texts have in common at their beginning is computed once
    idle_share: float = 0.25  # of the blocks, at most, for beginnings of texts that have ended
    watermark_key: int | None = field(default=None, repr=False)  # of requests that bring none
    max_wait_seconds: float | None = None  # for a place; who waits longer is turned away
