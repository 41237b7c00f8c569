"""Who owns which block of the KV cache. Counts references; never touches the tensors."""

from collections.abc import Iterator

from penstock.engine.prefixes import Content, PrefixCache, next_digest, start_of_chain
from penstock.engine.sequence import Sequence, Source


class BlockManager:
    """Hands out blocks, shares them between forks, copies a shared one before it is written.

    With `prefixes`, texts that begin alike share blocks too, also with texts that have ended.
    """

    def __init__(
        self, *, num_blocks: int, block_size: int, prefixes: PrefixCache | None = None
    ) -> None:
        self._block_size = block_size
        self._prefixes = prefixes
        self._num_blocks = num_blocks
        self._free = list(reversed(range(num_blocks)))  # a stack: used memory stays compact
        self._num_references = [0] * num_blocks
        self._copies: list[tuple[int, int]] = []

    @property
    def num_blocks(self) -> int:
        return self._num_blocks

    @property
    def num_free(self) -> int:
        """The blocks that can be had: those that hold nothing, or only what might be wanted."""
        return len(self._free) + (0 if self._prefixes is None else self._prefixes.num_idle)

    def blocks_for(self, num_tokens: int) -> int:
        """How many blocks hold `num_tokens` tokens."""
        return -(-num_tokens // self._block_size)

    def reserve(self, sequence: Sequence, num_tokens: int) -> bool:
        """Give `sequence` the blocks for its next `num_tokens` tokens, for it alone to write.

        All or nothing: returns False, and changes nothing, when too few blocks are free.
        """
        num_new = self.blocks_for(sequence.num_computed + num_tokens) - len(sequence.block_table)
        must_copy = self._next_write_is_shared(sequence)
        num_source = self._num_source_blocks(sequence.source)
        if max(0, num_new) + must_copy + num_source > self.num_free:
            return False
        if sequence.source is not None and not sequence.holds_source:
            sequence.source.block_table += [self._take() for _ in range(num_source)]
            self._hold_source(sequence)
        if must_copy:
            self._own_last_block(sequence)
        sequence.block_table += [self._take() for _ in range(num_new)]
        return True

    def reuse(self, sequence: Sequence) -> None:
        """Let a sequence that holds nothing begin with blocks that hold its beginning already.

        Its last token is left, so that there is always something to compute.
        """
        if self._prefixes is None or sequence.block_table or sequence.must_be_read:
            return
        for content in self._contents(sequence, 0, sequence.num_certain - 1):
            block = self._prefixes.find(content)
            if block is None:
                break
            if not self._num_references[block]:
                self._prefixes.take_up(block)
            self._num_references[block] += 1
            sequence.block_table.append(block)
        sequence.num_published = len(sequence.block_table)
        sequence.num_computed = sequence.num_published * self._block_size

    def publish(self, sequence: Sequence) -> None:
        """Let others begin with the full blocks of what is certain and computed."""
        if self._prefixes is None:
            return
        num_tokens = min(sequence.num_computed, sequence.num_certain)
        for content in self._contents(sequence, sequence.num_published, num_tokens):
            self._prefixes.add(sequence.block_table[sequence.num_published], content)
            sequence.num_published += 1

    def fork(self, parent: Sequence, child: Sequence) -> None:
        """Let `child` share all that `parent` has computed."""
        for block in parent.block_table:
            self._num_references[block] += 1
        child.block_table = list(parent.block_table)
        child.num_computed = parent.num_computed
        child.salt, child.digests = parent.salt, list(parent.digests)
        child.num_published = parent.num_published
        if parent.holds_source:
            child.source = parent.source
            self._hold_source(child)

    def truncate(self, sequence: Sequence, num_tokens: int) -> None:
        """Forget what is computed beyond `num_tokens`; blocks that hold nothing else are freed."""
        if sequence.num_computed <= num_tokens:
            return
        num_kept = self.blocks_for(num_tokens)
        for block in sequence.block_table[num_kept:]:
            self._release(block)
        del sequence.block_table[num_kept:]
        sequence.num_computed = num_tokens

    def free(self, sequence: Sequence) -> None:
        """Take back the sequence's share in its blocks; nothing of it is computed any more.

        The last go first: the beginning of a text is what others may have in common with it.
        """
        for block in reversed(sequence.block_table):
            self._release(block)
        sequence.block_table = []
        sequence.num_computed = sequence.num_published = 0
        self._let_go_of_source(sequence)

    def take_copies(self) -> list[tuple[int, int]]:
        """The block copies (source, destination) to carry out before the next step, in order."""
        copies, self._copies = self._copies, []
        return copies

    def _next_write_is_shared(self, sequence: Sequence) -> bool:
        index = sequence.num_computed // self._block_size
        if index >= len(sequence.block_table):
            return False
        return self._num_references[sequence.block_table[index]] > 1

    def _own_last_block(self, sequence: Sequence) -> None:
        index = sequence.num_computed // self._block_size
        shared, own = sequence.block_table[index], self._take()
        self._copies.append((shared, own))
        self._release(shared)
        sequence.block_table[index] = own

    def _num_source_blocks(self, source: Source | None) -> int:
        """How many blocks a source still lacks: none once any sequence holds it."""
        return 0 if source is None or source.num_holders else self.blocks_for(len(source.token_ids))

    def _hold_source(self, sequence: Sequence) -> None:
        assert sequence.source is not None
        sequence.holds_source = True
        sequence.source.num_holders += 1

    def _let_go_of_source(self, sequence: Sequence) -> None:
        """The last to let go frees the blocks; what was encoded is lost."""
        source = sequence.source
        if source is None or not sequence.holds_source:
            return
        sequence.holds_source = False
        source.num_holders -= 1
        if source.num_holders == 0:
            for block in source.block_table:
                self._release(block)
            source.block_table = []
            source.is_encoded = False

    def _contents(self, sequence: Sequence, first: int, num_tokens: int) -> Iterator[Content]:
        """What the full blocks hold, from the `first` on, of the sequence's first `num_tokens`."""
        if sequence.salt is None:
            return
        for index in range(first, num_tokens // self._block_size):
            start = index * self._block_size
            token_ids = tuple(sequence.token_ids[start : start + self._block_size])
            if index == len(sequence.digests):
                before = sequence.digests[-1] if index else start_of_chain(sequence.salt)
                sequence.digests.append(next_digest(before, token_ids))
            yield Content(sequence.digests[index], token_ids)

    def _take(self) -> int:
        """A block that can be had: one that holds nothing, as long as there is one."""
        if self._free or self._prefixes is None:
            block = self._free.pop()
        else:
            block = self._prefixes.give_up()
        self._num_references[block] = 1
        return block

    def _release(self, block: int) -> None:
        self._num_references[block] -= 1
        if self._num_references[block]:
            return
        if self._prefixes is None or block not in self._prefixes:
            self._free.append(block)
            return
        self._prefixes.lay_by(block)
        if self._prefixes.num_idle > self._prefixes.max_idle:
            self._free.append(self._prefixes.give_up())
