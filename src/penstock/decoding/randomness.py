"""Random numbers that are a pure function of who asks: no state, so no batch can disturb them."""

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def _mix(z: int) -> int:
    """The SplitMix64 finaliser (Steele, Lea and Flood 2014, "Fast splittable generators")."""
    z = (z + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


COINS = 2**32  # beyond all streams that tokens are drawn from


def coin(seed: int, stream: int, position: int) -> float:
    """A number in [0, 1) beside the one that a token is drawn with."""
    return uniform(seed, COINS + stream, position)


def uniform(seed: int, stream: int, position: int) -> float:
    """A number in [0, 1) for one draw: the same for the same seed, stream and position, always."""
    return float(_mix(_mix(_mix(seed) ^ stream) ^ position) >> 11) * 2.0**-53
