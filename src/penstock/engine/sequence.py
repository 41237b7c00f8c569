"""A sequence: the engine's mutable view of one line of tokens, and the source it answers.

Holds no tensors.
"""

from collections.abc import Sequence as Seq
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Source:
    """What an encoder reads for all sequences of a request, and where that lies in the KV cache.

    It is encoded once and kept for as long as any sequence holds blocks. Blocks and holders are
    changed by `BlockManager` only.
    """

    token_ids: tuple[int, ...]
    block_table: list[int] = field(default_factory=list)
    num_holders: int = 0
    is_encoded: bool = False


@dataclass(slots=True, eq=False)
class Sequence:
    """Tokens, how many of them are in the KV cache, and in which blocks.

    A step lets a sequence catch up: its pending tokens are computed, the first time the whole
    prompt, later the last token. Its last tokens may be guesses, to be checked by the next step;
    any of them may be given up at any time. Owned by the engine; blocks are changed by
    `BlockManager` only.
    """

    id: int
    token_ids: list[int]
    num_prompt: int
    num_computed: int = 0
    num_guesses: int = 0  # at the end of `token_ids`
    block_table: list[int] = field(default_factory=list)
    total_surprise: float = 0.0  # bits: of all tokens generated, when each was drawn
    keeps_hidden: bool = False  # its hidden states are kept, to be compared
    early_layers: tuple[int, ...] = ()  # whose logits are wanted beside its own
    scores_from: int | None = None  # from this position on the logits of the prompt are wanted
    pools_from: int | None = None  # the same of its final hidden states
    is_shadow: bool = False  # follows another sequence; its logits only guide that one's
    source: Source | None = None  # of an encoder-decoder
    holds_source: bool = False  # has a share in the source's blocks
    salt: str | None = None  # shares blocks with equal beginnings under the same; none with nobody
    digests: list[bytes] = field(default_factory=list)  # of its full blocks, as far as known
    num_published: int = 0  # of its blocks, those that others may begin with

    @property
    def num_pending(self) -> int:
        """Tokens, guesses included, whose keys and values are not in the cache yet."""
        return len(self.token_ids) - self.num_computed

    @property
    def num_certain(self) -> int:
        """Tokens without the guesses."""
        return len(self.token_ids) - self.num_guesses

    @property
    def must_be_read(self) -> bool:
        """Whether something is wanted from every position, also where keys and values are known."""
        return self.keeps_hidden or self.scores_from is not None or self.pools_from is not None

    @property
    def num_generated(self) -> int:
        """Tokens after the prompt, without the guesses."""
        return self.num_certain - self.num_prompt

    @property
    def guesses(self) -> list[int]:
        return self.token_ids[len(self.token_ids) - self.num_guesses :]

    def guess(self, token_ids: Seq[int]) -> None:
        """Go on with guesses, after whatever is certain."""
        assert not self.num_guesses, "guesses are checked or given up before there are new ones"
        self.token_ids += token_ids
        self.num_guesses = len(token_ids)

    def guess_next(self, token_id: int) -> None:
        """Go on with one more guess."""
        self.token_ids.append(token_id)
        self.num_guesses += 1

    def give_up_guesses(self, count: int | None = None) -> None:
        """Take back the last `count` guesses, or all."""
        count = self.num_guesses if count is None else min(count, self.num_guesses)
        del self.token_ids[len(self.token_ids) - count :]
        self.num_guesses -= count
