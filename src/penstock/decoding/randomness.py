"""Random numbers that are a pure function of who asks: no state, so no batch can disturb them."""

from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def _mix(z: int) -> int:
    """The SplitMix64 finaliser (Steele, Lea and Flood 2014, "Fast splittable generators")."""
    z = (z + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@lru_cache(maxsize=4096)
def _stream_key(seed: int, stream: int) -> int:
    """What all draws of a stream have in common."""
    return _mix(_mix(seed) ^ stream)


COINS = 2**32  # beyond all streams that tokens are drawn from
NOISES = 2**33  # beyond all coins


def coin(seed: int, stream: int, position: int) -> float:
    """A number in [0, 1) beside the one that a token is drawn with."""
    return uniform(seed, COINS + stream, position)


def uniform(seed: int, stream: int, position: int) -> float:
    """A number in [0, 1) for one draw: the same for the same seed, stream and position, always."""
    return float(_mix(_stream_key(seed, stream) ^ position) >> 11) * 2.0**-53


def stream_of(token_ids: Sequence[int]) -> int:
    """A stream that belongs to a text, whichever place it takes among others."""
    return crc32(np.array(token_ids, dtype="<u4").tobytes())


def noise_key(seed: int, stream: int, position: int) -> int:
    """What `gumbels` makes the numbers of one draw from."""
    return _mix(_mix(_mix(seed) ^ (NOISES + stream)) ^ position)


def gumbels(keys: Sequence[int], size: int) -> NDArray[np.float64]:
    """`size` numbers for each key, (num_keys, size), distributed as Gumbel's: -log(-log(u))."""
    z = np.array(keys, dtype=np.uint64)[:, None] ^ np.arange(size, dtype=np.uint64)
    z += np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    u = ((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # never 0
    return -np.log(-np.log(u))
