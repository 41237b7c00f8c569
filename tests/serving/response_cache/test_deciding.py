"""What may be given again, and that everything that decides an answer is in its key."""

from dataclasses import fields, replace

import pytest

from penstock.serving.models import ServedModel
from penstock.serving.response_cache.deciding import is_settled, is_whole, key_of
from penstock.types import (
    DecodingParams,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    SequenceFinished,
    Timings,
)

MODEL = ServedModel(
    id="m",
    context_length=10,
    hidden_size=1,
    num_parameters=1,
    dtype="float32",
    num_bytes=1,
    weights_digest="w",
    config_digest="c",
    ops="torch",
)
OTHER = {
    "request_id": "other",
    "prompt": "other",
    "model": "other",
    "prefix": (1,),
    "strategy": "greedy",
    "params": DecodingParams(top_k=3),
    "max_new_tokens": 9,
    "max_length": 9,
    "min_new_tokens": 2,
    "num_sequences": 2,
    "stop": ("x",),
    "seed": 2,
    "logprobs": 1,
    "prompt_logprobs": 1,
    "named_tokens": ("x",),
    "trace": 1,
    "beam_tree": True,
    "adapter": "other",
    "adapter_digest": "told by the argument",
    "attribute_digest": "other",
    "embed": True,
    "max_time": 5.0,
    "tenant": "other",
}


def asked(**fields: object) -> GenerationRequest:
    return GenerationRequest(**({"request_id": "r", "prompt": "p", "model": "m"} | fields))


@pytest.mark.parametrize("name", [field.name for field in fields(GenerationRequest)])
def test_every_field_of_a_request_but_its_id_is_in_the_key(name: str) -> None:
    request = asked(seed=1)
    other = replace(request, **{name: OTHER[name]})

    is_same = key_of(request, MODEL, None) == key_of(other, MODEL, None)

    assert is_same == (name in {"request_id", "adapter_digest"})


def test_the_files_of_model_and_adapter_and_how_it_is_computed_are_in_the_key() -> None:
    request = asked(seed=1)
    changes = {"id": "n", "weights_digest": "v", "config_digest": "d", "dtype": "int8", "ops": "k"}

    keys = {key_of(request, MODEL, digest) for digest in (None, "a", "b")}
    keys |= {key_of(request, replace(MODEL, **{n: v}), None) for n, v in changes.items()}

    assert len(keys) == 3 + len(changes)


SETTLED = [
    asked(seed=0),
    asked(strategy="greedy"),
    asked(strategy="beam_search", params=DecodingParams(num_beams=3)),
    asked(strategy="diverse_beam_search"),
    asked(strategy="contrastive_search"),
    asked(params=DecodingParams(temperature=0)),
    asked(seed=3, params=DecodingParams(watermark_delta=2, watermark_key=5)),
    asked(seed=3, params=DecodingParams(xtc_probability=0.5)),
]
OPEN = [
    asked(),
    asked(strategy="beam_sampling"),
    asked(strategy="best_of_n"),
    asked(strategy="top_k"),
    asked(strategy="greedy", params=DecodingParams(xtc_probability=0.5)),
    asked(seed=1, embed=True),
    asked(seed=1, params=DecodingParams(json_object=True)),
    asked(seed=1, params=DecodingParams(json_schema="{}")),
    asked(seed=1, params=DecodingParams(regex="a")),
    asked(seed=1, params=DecodingParams(choice=("a", "b"))),
    asked(seed=1, params=DecodingParams(grammar="start: /a/")),
    asked(seed=1, params=DecodingParams(watermark_delta=2)),
    asked(seed=1, params=DecodingParams(attribute="happy")),
]


@pytest.mark.parametrize("request_", SETTLED)
def test_what_draws_nothing_or_has_a_seed_may_be_given_again(request_: GenerationRequest) -> None:
    assert is_settled(request_, MODEL)


@pytest.mark.parametrize("request_", OPEN)
def test_what_draws_or_is_bound_to_a_form_may_not(request_: GenerationRequest) -> None:
    assert not is_settled(request_, MODEL)


def test_a_model_whose_files_are_not_known_has_nothing_kept() -> None:
    assert not is_settled(asked(seed=1), replace(MODEL, weights_digest=""))


@pytest.mark.parametrize(
    ("reason", "error", "is_kept"),
    [
        (FinishReason.STOP, None, True),
        (FinishReason.LENGTH, None, True),
        (FinishReason.TIME, None, False),
        (FinishReason.CANCELLED, None, False),
        (FinishReason.STOP, ValueError(), False),
    ],
)
def test_only_a_whole_answer_is_kept(
    reason: FinishReason, error: Exception | None, is_kept: bool
) -> None:
    end = SequenceFinished(request_id="r", index=0, finish_reason=reason, text="a", token_ids=(1,))
    finished = RequestFinished(
        request_id="r",
        num_prompt_tokens=1,
        num_completion_tokens=1,
        timings=Timings(),
        error=error,
    )

    assert is_whole([end, finished]) == is_kept
    assert not is_whole([finished])
    assert not is_whole([end])
