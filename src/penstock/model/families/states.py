"""Hidden states as the layers of a family pass them on: what reaches each, then what leaves all."""

from collections import deque
from collections.abc import Collection, Iterator

from torch import Tensor


def last(states: Iterator[Tensor]) -> Tensor:
    """What leaves the last layer."""
    (state,) = deque(states, maxlen=1)
    return state


def pick(states: Iterator[Tensor], layers: Collection[int]) -> list[Tensor]:
    """What reaches each of `layers`, in their order, then what leaves the last layer."""
    found: dict[int, Tensor] = {}
    for layer, state in enumerate(states):
        if layer in layers:
            found[layer] = state
    return [*(found[layer] for layer in layers), state]
