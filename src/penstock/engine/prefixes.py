"""Which blocks hold the beginnings of which texts. Plain Python: never touches the tensors.

A full block is known by a digest of all tokens up to its end, whose chain starts from a salt: equal
texts under different salts have nothing in common.
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from hashlib import blake2b

DIGEST_SIZE = 32  # bytes: nobody finds two texts with the same


def start_of_chain(salt: str) -> bytes:
    """What the digests of all texts under this salt start from."""
    return blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()


def next_digest(digest: bytes, token_ids: Seq[int]) -> bytes:
    """The digest of a text that goes on with one more block of tokens."""
    return blake2b(array("q", token_ids).tobytes(), key=digest, digest_size=DIGEST_SIZE).digest()


@dataclass(frozen=True, slots=True)
class Content:
    """What a block holds: its tokens, after the text that its digest stands for."""

    digest: bytes
    token_ids: tuple[int, ...]


class PrefixCache:
    """Knows full blocks by what they hold; those that nobody uses are idle until they are needed.

    Used by `BlockManager` only, which counts the references and keeps at most `max_idle`: memory
    that was never written to is not taken, and a server that has little to do shall take little.
    """

    def __init__(self, *, max_idle: int) -> None:
        self.max_idle = max_idle
        self._blocks: dict[bytes, int] = {}
        self._contents: dict[int, Content] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()  # the first is given up first

    def __contains__(self, block: int) -> bool:
        return block in self._contents

    @property
    def num_idle(self) -> int:
        """How many known blocks nobody uses."""
        return len(self._idle)

    def find(self, content: Content) -> int | None:
        """The block that holds exactly this."""
        block = self._blocks.get(content.digest)
        return block if block is not None and self._contents[block] == content else None

    def add(self, block: int, content: Content) -> None:
        """Know a block from now on, unless another one with the same is known already."""
        if content.digest not in self._blocks:
            self._blocks[content.digest] = block
            self._contents[block] = content

    def lay_by(self, block: int) -> None:
        """Nobody uses this block now; it is the last of the idle ones to be given up."""
        self._idle[block] = None

    def take_up(self, block: int) -> None:
        """Somebody uses this block again."""
        del self._idle[block]

    def give_up(self) -> int:
        """Forget the block that has been idle longest: it is free."""
        block, _ = self._idle.popitem(last=False)
        del self._blocks[self._contents.pop(block).digest]
        return block
