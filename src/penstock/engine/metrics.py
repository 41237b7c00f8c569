"""What an engine can say about itself at any moment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """Counts of requests and blocks of the KV cache; of steps and tokens since the start."""

    num_running: int
    num_waiting: int
    num_free_blocks: int
    num_blocks: int
    num_steps: int
    num_computed_tokens: int
    num_cached_tokens: int  # of prompts, whose keys and values were there already
