"""The green list of a watermark, and how much of it a text holds (Kirchenbauer et al. 2023).

The lists are those of transformers' `lefthash`, so each side can detect what the other wrote. Knows
token ids, not texts.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from penstock.errors import InvalidParameter
from penstock.types import WatermarkScore

PUBLIC_KEY = 15_485_863  # transformers' own; whoever knows the key can detect, and forge
NUM_KEPT = 256  # lists, the latest


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkScheme:
    """Which tokens are green after which."""

    gamma: float  # the share of the vocabulary that is
    key: int | None = None  # None: the public one


@lru_cache(maxsize=NUM_KEPT)
def green_list(scheme: WatermarkScheme, vocab_size: int, previous: int) -> Tensor:
    """Which tokens are green after `previous`, (vocab_size,) of bools. Not to be changed."""
    key = PUBLIC_KEY if scheme.key is None else scheme.key
    generator = torch.Generator().manual_seed(key * previous % (2**64 - 1))
    chosen = torch.randperm(vocab_size, generator=generator)[: int(vocab_size * scheme.gamma)]
    return torch.zeros(vocab_size, dtype=torch.bool).index_fill(0, chosen, True)


def score_watermark(
    token_ids: Sequence[int], vocab_size: int, scheme: WatermarkScheme, *, each_pair_once: bool
) -> WatermarkScore:
    """Count green tokens. With `each_pair_once`, what repeats itself is no further evidence."""
    pairs = list(pairwise(token_ids))
    if each_pair_once:
        pairs = list(dict.fromkeys(pairs))
    if not pairs:
        raise InvalidParameter(
            f"text has {len(token_ids)} tokens.",
            "Give at least two: what is green depends on the token before.",
            param="text",
        )
    num_green = sum(_num_green(*after, scheme, vocab_size) for after in _by_left(pairs).items())
    spread = math.sqrt(len(pairs) * scheme.gamma * (1 - scheme.gamma))
    z_score = (num_green - scheme.gamma * len(pairs)) / spread
    return WatermarkScore(
        num_tokens=len(token_ids),
        num_scored=len(pairs),
        num_green=num_green,
        z_score=z_score,
        p_value=math.erfc(z_score / math.sqrt(2)) / 2,
    )


def _by_left(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The tokens that come after each, so that each list is made once."""
    found: dict[int, list[int]] = {}
    for left, right in pairs:
        found.setdefault(left, []).append(right)
    return found


def _num_green(left: int, rights: list[int], scheme: WatermarkScheme, vocab_size: int) -> int:
    return int(green_list(scheme, vocab_size, left)[rights].sum())
