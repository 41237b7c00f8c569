"""Who owns which block of the KV cache. Counts references; never touches the tensors."""

from penstock.engine.sequence import Sequence


class BlockManager:
    """Hands out blocks, shares them between forks, copies a shared one before it is written."""

    def __init__(self, *, num_blocks: int, block_size: int) -> None:
        self._block_size = block_size
        self._num_blocks = num_blocks
        self._free = list(reversed(range(num_blocks)))  # a stack: used memory stays compact
        self._num_references = [0] * num_blocks
        self._copies: list[tuple[int, int]] = []

    @property
    def num_blocks(self) -> int:
        return self._num_blocks

    @property
    def num_free(self) -> int:
        return len(self._free)

    def blocks_for(self, num_tokens: int) -> int:
        """How many blocks hold `num_tokens` tokens."""
        return -(-num_tokens // self._block_size)

    def reserve(self, sequence: Sequence, num_tokens: int) -> bool:
        """Give `sequence` the blocks for its next `num_tokens` tokens, for it alone to write.

        All or nothing: returns False, and changes nothing, when too few blocks are free.
        """
        num_new = self.blocks_for(sequence.num_computed + num_tokens) - len(sequence.block_table)
        must_copy = self._next_write_is_shared(sequence)
        if max(0, num_new) + must_copy > len(self._free):
            return False
        if must_copy:
            self._own_last_block(sequence)
        sequence.block_table += [self._take() for _ in range(num_new)]
        return True

    def fork(self, parent: Sequence, child: Sequence) -> None:
        """Let `child` share all that `parent` has computed."""
        for block in parent.block_table:
            self._num_references[block] += 1
        child.block_table = list(parent.block_table)
        child.num_computed = parent.num_computed

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
        """Take back the sequence's share in its blocks; nothing of it is computed any more."""
        for block in sequence.block_table:
            self._release(block)
        sequence.block_table = []
        sequence.num_computed = 0

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

    def _take(self) -> int:
        block = self._free.pop()
        self._num_references[block] = 1
        return block

    def _release(self, block: int) -> None:
        self._num_references[block] -= 1
        if self._num_references[block] == 0:
            self._free.append(block)
