"""Every limit is settled before the engine starts, or the client is told what does not fit."""

import pytest

from penstock.decoding.strategies import STRATEGIES
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter, PenstockError, PromptTooLong
from penstock.types import DecodingParams, GenerationRequest
from tests.tiny_gpt2 import tiny_model

TINY = tiny_model(0, context_length=128)
FIVE = (1, 2, 3, 4, 5)


def _request(**changes: object) -> GenerationRequest:
    return GenerationRequest(**({"request_id": "r", "prompt": FIVE, "model": "tiny"} | changes))


@pytest.mark.parametrize(
    ("changes", "max_new_tokens"),
    [
        ({}, 95),  # max_length is 100 and counts the prompt
        ({"max_length": 6}, 1),
        ({"max_length": 128}, 123),
        ({"max_new_tokens": 7}, 7),
        ({"max_new_tokens": 7, "max_length": 50}, 7),
        ({"max_new_tokens": 123}, 123),
    ],
)
def test_how_many_tokens_may_be_written(changes: dict[str, object], max_new_tokens: int) -> None:
    assert prepare(_request(**changes), TINY.model).stopping.max_new_tokens == max_new_tokens


@pytest.mark.parametrize(
    ("changes", "error", "param", "message"),
    [
        (
            {"max_length": 5},
            PromptTooLong,
            "max_length",
            "The prompt has 5 tokens and max_length=5 counts them, so nothing can be written. "
            "Set max_length to more than 5, or use max_new_tokens.",
        ),
        (
            {"max_length": 129},
            PromptTooLong,
            "max_length",
            "5 prompt tokens and max_length=129 do not fit the context of tiny, 128 tokens. "
            "Set max_length to 128 or less.",
        ),
        (
            {"max_new_tokens": 124},
            PromptTooLong,
            "max_new_tokens",
            "5 prompt tokens and max_new_tokens=124 do not fit the context of tiny, 128 tokens. "
            "Set max_new_tokens to 123 or less.",
        ),
        (
            {"prompt": (7,) * 130},
            PromptTooLong,
            "prompt",
            "The prompt has 130 tokens; the context of tiny is 128. "
            "Shorten the prompt by at least 3 tokens.",
        ),
        (
            {"prompt": "x" * 8193},
            PromptTooLong,
            "prompt",
            "The prompt has 8193 characters; the context of tiny is 128 tokens, which is never "
            "more than 8192 characters. Shorten the prompt by at least 1 characters.",
        ),
        (
            {"prompt": (3, 257)},
            InvalidParameter,
            "prompt",
            "Token id 257 is not in the vocabulary of tiny. Use 0 to 256.",
        ),
        (
            {"max_new_tokens": 3, "min_new_tokens": 4},
            InvalidParameter,
            "min_new_tokens",
            "min_new_tokens=4 is more than the 3 tokens that may be written. Use 3 or less.",
        ),
        (
            {"strategy": "magic"},
            InvalidParameter,
            "strategy",
            f"strategy='magic' does not exist. Use one of {', '.join(STRATEGIES)}.",
        ),
        (
            {"strategy": "greedy", "num_sequences": 2},
            InvalidParameter,
            "num_return_sequences",
            "num_return_sequences=2 is more than Greedy gives with these settings. Use 1 or less.",
        ),
        (
            {
                "strategy": "beam_search",
                "num_sequences": 4,
                "params": DecodingParams(num_beams=3),
            },
            InvalidParameter,
            "num_return_sequences",
            "num_return_sequences=4 is more than Beam search gives with these settings. "
            "Use 3 or less.",
        ),
    ],
)
def test_what_does_not_fit_is_said(
    changes: dict[str, object], error: type[PenstockError], param: str, message: str
) -> None:
    with pytest.raises(error) as raised:
        prepare(_request(**changes), TINY.model)

    assert str(raised.value) == message
    assert raised.value.param == param


def test_a_seed_is_drawn_when_none_is_given_and_kept_when_one_is() -> None:
    seeds = {prepare(_request(), TINY.model).seed for _ in range(5)}

    assert len(seeds) == 5
    assert all(seed < 2**53 for seed in seeds)
    assert prepare(_request(seed=0), TINY.model).seed == 0
