"""Strategies on a model so small that what they write can be worked out on paper.

What comes next depends on the last token alone, by the tables below; the text begins after A.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import ForwardBatch
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import VOCAB_SIZE, loaded

A, B, C, D = 1, 2, 3, 4
NEVER = 1e-9  # the probability of all others
Table = Mapping[int, Mapping[int, float]]  # the probabilities of what comes after a token


class ByTable:
    """A family of two layers whose hidden states name the token, and the layer they reach."""

    context_length = 8
    vocab_size = VOCAB_SIZE
    num_parameters = num_bytes = 1
    cache_shape = CacheShape(num_layers=2, num_kv_heads=1, head_size=1)
    hidden_size = 2
    is_tied = False

    def __init__(self, late: Table, early: Table | None = None) -> None:
        self._logits = torch.cat([_logits(late), _logits(early or late)])

    def forward(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        return self._logits[batch.token_ids[batch.output_rows]]

    def hidden(
        self, batch: ForwardBatch, cache: KVCache, layers: Collection[int] = ()
    ) -> list[Tensor]:
        return [(EARLY + HIDDEN)[batch.token_ids]] * len(layers) + [HIDDEN[batch.token_ids]]

    def head(self, hidden: Tensor) -> Tensor:
        known = torch.cat([HIDDEN, EARLY + HIDDEN])
        return self._logits[(hidden[:, None] == known).all(-1).long().argmax(-1)]


# The directions of the end token and of A to D: A and B point the same way, C across, D back.
HIDDEN = torch.tensor([[0.0, -1.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
EARLY = 100.0  # is added to what reaches the early layers


def _logits(table: Table) -> Tensor:
    probabilities = torch.full((len(HIDDEN), VOCAB_SIZE), NEVER)
    for token_id, following in table.items():
        for next_id, probability in following.items():
            probabilities[token_id, next_id] = probability
    return probabilities.log()


def _written(model: ByTable, strategy: str, num_texts: int = 1, **params: Any) -> list[list[int]]:
    """The texts of two tokens, best first."""
    request = GenerationRequest(
        request_id="r",
        prompt=(A,),
        model="by hand",
        strategy=strategy,
        params=DecodingParams(**params),
        max_new_tokens=2,
        num_sequences=num_texts,
    )
    return run_alone(loaded(model, "by hand"), request).token_ids


CROSSING: Table = {
    A: {B: 0.5, C: 0.4, D: 0.1},
    B: {C: 0.6, D: 0.4},
    C: {D: 0.9, B: 0.1},
    D: {B: 1.0},
}


@pytest.mark.parametrize(
    ("penalty", "texts"),
    [
        # The second group's B would count ln 0.5 - 0.1 = -0.79, more than C's ln 0.4 = -0.92. Then
        # its C counts -0.79 + ln 0.6 - 0.1 = -1.40 and D -0.79 + ln 0.4 = -1.71: the same.
        (0.1, [[B, C], [B, C]]),
        # B would count -1.19, so it goes by C, to D with ln 0.36 = -1.02: better than the first
        # group's ln 0.3 = -1.20.
        (0.5, [[C, D], [B, C]]),
    ],
)
def test_diverse_beams_avoid_what_earlier_groups_chose(
    penalty: float, texts: list[list[int]]
) -> None:
    params = {"num_beams": 2, "num_beam_groups": 2, "diversity_penalty": penalty}

    assert _written(ByTable(CROSSING), "diverse_beam_search", 2, **params) == texts


FORCED: Table = {
    A: {B: 0.6, C: 0.3, D: 0.1},
    B: {C: 0.9, D: 0.1},
    C: {D: 0.8, B: 0.2},
    D: {B: 1.0},
}


@pytest.mark.parametrize(
    ("words", "num_beams", "text"),
    [
        ((), 2, [B, C]),  # 0.54, the likeliest of all
        # D has its word and goes first, B is the best without: C, the way to 0.24, is dropped, and
        # of D B with 0.10 and B D with 0.06 the first wins.
        ((((D,),),), 2, [D, B]),
        ((((D,),),), 3, [C, D]),  # there is room for C
        ((((D,), (B,)),), 2, [B, C]),  # either will do, and B is in the likeliest
        ((((D, B),),), 2, [D, B]),
    ],
)
def test_constrained_beams_share_out_their_places(
    words: Any, num_beams: int, text: list[int]
) -> None:
    params = {"num_beams": num_beams, "force_words": words}

    assert _written(ByTable(FORCED), "constrained_beam_search", **params) == [text]


TIRED: Table = {A: {B: 0.6, C: 0.4}, B: {A: 0.9, D: 0.1}, C: {B: 0.9, D: 0.1}}


@pytest.mark.parametrize(
    ("alpha", "text"),
    [
        # B points where A does: 0.9 * 0.6 - 0.1 * 1 = 0.44 against 0.9 * 0.4 - 0.1 * 0 = 0.36.
        # Then A has 0.9 * 0.9 - 0.1 = 0.71 and D, which points back, 0.9 * 0.1 + 0.1 = 0.19.
        (0.1, [B, A]),
        # 0.4 * 0.6 - 0.6 * 1 = -0.36 against 0.4 * 0.4 = 0.16 for C. Then B, again like A, has
        # 0.4 * 0.9 - 0.6 = -0.24, and D, at best across to C, 0.4 * 0.1 = 0.04.
        (0.6, [C, D]),
    ],
)
def test_contrastive_search_pays_for_what_is_like_before(alpha: float, text: list[int]) -> None:
    written = _written(ByTable(TIRED), "contrastive_search", top_k=2, penalty_alpha=alpha)

    assert written == [text]


def test_dola_takes_what_the_last_layer_likes_more_than_the_early_one() -> None:
    """After A, C has doubled and the others have not; after C, D is five times as likely.

    But D is below a tenth of B there, so that it does not count.
    """
    late = {A: {B: 0.5, C: 0.4, D: 0.1}, C: {B: 0.95, D: 0.05}}
    early = {A: {B: 0.6, C: 0.2, D: 0.2}, C: {B: 0.99, D: 0.01}}

    written = _written(ByTable(late, early), "dola", dola_layers=(0,), temperature=0.0)

    assert written == [[C, B]]
