"""The watermark: transformers' own lists, found where it is and not where it is not."""

import math
from itertools import pairwise
from random import Random
from types import SimpleNamespace

import pytest
import torch
from transformers import WatermarkDetector, WatermarkingConfig

from penstock.decoding.watermark import WatermarkScheme, green_list, score_watermark
from penstock.errors import InvalidParameter
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_all
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, tiny_model

SCHEME = WatermarkScheme(gamma=0.25, key=42)
NEVER_ENDS = {"logit_bias": ((EOS, -100.0),)}


def written(delta: float, num_texts: int, key: int | None = 42, **params: float) -> list[list[int]]:
    """Texts drawn from a small model."""
    asked = DecodingParams(
        watermark_delta=delta, watermark_key=key, temperature=1.0, **NEVER_ENDS, **params
    )
    requests = [
        GenerationRequest(
            request_id=str(seed), prompt="The", model="tiny", params=asked, seed=seed,
            max_new_tokens=100,
        )
        for seed in range(num_texts)
    ]  # fmt: skip
    return [result.token_ids[0] for result in run_all(tiny_model().model, requests)]


def z_scores(texts: list[list[int]], scheme: WatermarkScheme = SCHEME) -> list[float]:
    return [score_watermark(t, VOCAB_SIZE, scheme, each_pair_once=True).z_score for t in texts]


def test_a_marked_text_stands_out_and_an_unmarked_one_does_not() -> None:
    marked, plain = z_scores(written(4.0, 12)), z_scores(written(0.0, 12))

    assert min(marked) > 4, marked
    assert max(plain) < 4 and abs(sum(plain)) / math.sqrt(12) < 4, plain


def test_another_key_or_share_finds_nothing() -> None:
    marked = written(4.0, 6)

    for scheme in (WatermarkScheme(gamma=0.25, key=43), WatermarkScheme(gamma=0.25)):
        assert max(z_scores(marked, scheme)) < 4


def test_every_text_of_chance_has_z_scores_of_mean_0_and_spread_1() -> None:
    rng = Random(7)
    texts = [[rng.randrange(VOCAB_SIZE) for _ in range(200)] for _ in range(400)]
    z = torch.tensor(z_scores(texts), dtype=torch.float64)

    assert abs(z.mean()) < 0.25 and 0.85 < z.std() < 1.15


@pytest.mark.parametrize("each_pair_once", [False, True])
@pytest.mark.parametrize(("gamma", "key"), [(0.25, 15_485_863), (0.5, 42), (0.1, 2**40 + 7)])
def test_the_score_is_that_of_transformers(gamma: float, key: int, each_pair_once: bool) -> None:
    config = WatermarkingConfig(greenlist_ratio=gamma, hashing_key=key)
    model = SimpleNamespace(bos_token_id=-1, is_encoder_decoder=False, vocab_size=VOCAB_SIZE)
    detector = WatermarkDetector(model, "cpu", config, ignore_repeated_ngrams=each_pair_once)
    rng = Random(key)
    scheme = WatermarkScheme(gamma=gamma, key=None if key == 15_485_863 else key)

    for _ in range(5):
        token_ids = [rng.randrange(9) for _ in range(60)]
        theirs = detector(torch.tensor([token_ids]), return_dict=True)
        ours = score_watermark(token_ids, VOCAB_SIZE, scheme, each_pair_once=each_pair_once)
        assert ours.num_scored == theirs.num_tokens_scored[0]
        assert ours.num_green == theirs.num_green_tokens[0]
        assert ours.z_score == pytest.approx(theirs.z_score[0])
        assert ours.p_value == pytest.approx(theirs.p_value[0], rel=1e-5)


def test_a_list_holds_its_share_and_depends_on_the_token_before() -> None:
    lists = [green_list(SCHEME, 1000, previous) for previous in range(50)]

    assert all(int(green.sum()) == 250 for green in lists)
    shared = [int((a & b).sum()) for a, b in pairwise(lists)]
    assert 40 < sum(shared) / len(shared) < 85  # a quarter of a quarter


def test_repetitions_are_no_evidence() -> None:
    previous, following = next(
        (a, b) for a in range(5) for b in range(5)
        if green_list(SCHEME, VOCAB_SIZE, a)[b] and green_list(SCHEME, VOCAB_SIZE, b)[a]
    )  # fmt: skip
    token_ids = [previous, following] * 50

    once = score_watermark(token_ids, VOCAB_SIZE, SCHEME, each_pair_once=True)
    always = score_watermark(token_ids, VOCAB_SIZE, SCHEME, each_pair_once=False)

    assert (once.num_scored, always.num_scored) == (2, 99)
    assert once.z_score < 4 < always.z_score


def test_a_single_token_cannot_be_judged() -> None:
    with pytest.raises(InvalidParameter, match="text has 1 tokens"):
        score_watermark([1], VOCAB_SIZE, SCHEME, each_pair_once=True)
