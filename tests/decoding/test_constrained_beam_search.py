"""Constrained beam search writes what its definition says, and the words that it was given."""

import random
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.decoding.strategies.forced_words import ForcedWords
from penstock.engine.config import EngineConfig
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter
from penstock.types import DecodingParams, FinishReason, GenerationRequest
from tests.decoding.slow_beams import Rules, Text
from tests.decoding.slow_constrained_beams import (
    Words,
    bank,
    constrained_beam_search,
    missing_words,
    some_words,
    wanted_tokens,
)
from tests.engine.driving import run_all, run_alone
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, tiny_model
from tests.tiny_t5 import tiny_t5

A, B, C, D = 11, 12, 13, 14


def ask(words: Words, **fields: object) -> GenerationRequest:
    """A request; what is no field of it is a decoding parameter."""
    whole = {"prompt": (5, 6, 7), "max_new_tokens": 16, "num_beams": 3} | fields
    own = {k: v for k, v in whole.items() if k in GenerationRequest.__dataclass_fields__}
    params = {k: v for k, v in whole.items() if k not in own}
    return GenerationRequest(
        request_id="r",
        model="tiny",
        strategy="constrained_beam_search",
        params=DecodingParams(force_words=words, **params),
        **own,
    )


@pytest.mark.parametrize("seed", range(16))
def test_constrained_beam_search_is_the_slow_definition(seed: int) -> None:
    rng = random.Random(seed)
    tiny, words = tiny_model(seed), some_words(rng)
    rules = Rules(
        max_new_tokens=rng.randrange(1, 16),
        length_penalty=rng.choice([-1.0, 0.0, 1.0, 2.0]),
        early_stopping=rng.random() < 0.5,
    )
    size = rng.randint(1, 5)

    result = run_alone(
        tiny.model,
        ask(
            words,
            max_new_tokens=rules.max_new_tokens,
            num_beams=size,
            length_penalty=rules.length_penalty,
            early_stopping=rules.early_stopping,
        ),
    )

    text = constrained_beam_search(tiny, (5, 6, 7), words, rules, size)
    assert tuple(result.token_ids[0]) == text
    assert list(result.sequences[0].missing_words) == missing_words(words, text)


@pytest.mark.parametrize("seed", range(6))
def test_without_words_it_is_beam_search(seed: int) -> None:
    tiny = tiny_model(seed)
    request = ask((), num_beams=4, num_sequences=3)

    plain = replace(request, strategy="beam_search")
    assert run_alone(tiny.model, request).token_ids == run_alone(tiny.model, plain).token_ids


ways = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4).map(tuple), min_size=1,
                max_size=3).map(tuple)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words=st.lists(ways, min_size=1, max_size=4).map(tuple),
    num_beams=st.integers(1, 4),
    seed=st.integers(0, 3),
    is_t5=st.booleans(),
    ends=st.sampled_from([0.0, 40.0]),
)
def test_every_text_has_every_word_that_the_length_suffices_for(
    words: Words, num_beams: int, seed: int, is_t5: bool, ends: float
) -> None:
    model = tiny_t5(seed).model if is_t5 else tiny_model(seed).model
    enough = len(words) * max(len(way) for ways in words for way in ways)
    request = ask(
        words,
        num_beams=num_beams,
        num_sequences=num_beams,
        max_new_tokens=enough,
        logit_bias=((EOS, ends),),  # at 40 the model wants to end the text at once
    )

    result = run_alone(model, request)

    for token_ids, sequence in zip(result.token_ids, result.sequences.values(), strict=True):
        assert missing_words(words, token_ids) == []
        assert sequence.missing_words == ()


@pytest.mark.parametrize(
    ("words", "max_new_tokens", "missing"),
    [
        ((((A, B, C),),), 2, (0,)),
        ((((A,),), ((B,),), ((C, D),)), 1, (1, 2)),  # which of the first two is the model's choice
        ((((A,), (B,)), ((EOS,),)), 9, (1,)),  # the end of a text is not in it
    ],
)
def test_a_result_says_which_words_it_lacks(
    words: Words, max_new_tokens: int, missing: tuple[int, ...]
) -> None:
    bias = ((A, 5.0),)
    result = run_alone(
        tiny_model(3).model, ask(words, max_new_tokens=max_new_tokens, logit_bias=bias)
    )

    assert result.sequences[0].missing_words == missing


def test_a_form_wins_over_words_and_the_result_says_so() -> None:
    request = ask((("yes",), ("maybe",)), choice=("yes", "no"), prompt="Once")

    result = run_alone(tiny_model(3).model, request)

    assert result.texts == ["yes"]
    assert result.sequences[0].missing_words == (1,)
    assert result.sequences[0].finish_reason is FinishReason.STOP


def test_a_word_that_a_stop_string_cuts_off_ismissing_words() -> None:
    words = (("red.",),)
    stopped = ask(words, prompt="Once", stop=(".",), max_new_tokens=12)

    result = run_alone(tiny_model(3).model, stopped)

    assert "red." not in result.texts[0]
    assert result.sequences[0].missing_words == (0,)
    assert "red." in run_alone(tiny_model(3).model, replace(stopped, stop=())).texts[0]


def test_a_stop_string_ends_a_text_that_has_its_words() -> None:
    model = tiny_model(3).model
    (sign,) = model.tokenizer.encode("!")  # which the model wants to write at once
    request = ask((("red",),), prompt="Once", stop=("!",), logit_bias=((sign, 60.0),))

    result = run_alone(model, request)

    assert "red" in result.texts[0] and "!" not in result.texts[0]
    assert result.sequences[0].finish_reason is FinishReason.STOP
    assert result.sequences[0].missing_words == ()


def test_words_are_taken_alone_and_after_a_space() -> None:
    model = tiny_model(3).model

    params = prepare(ask((("he", (4, 5)), (" she",)), prompt="Once"), model).request.params

    encode = model.tokenizer.encode
    assert params.force_words == (
        (tuple(encode("he")), tuple(encode(" he")), (4, 5)),
        (tuple(encode(" she")),),
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (((),), "force_words has an entry without words. Remove it."),
        ((("",),), "force_words: '' has no tokens. Remove it, or give its token ids."),
        ((("ab" * 129,),), "force_words has 517 tokens, alone and after a space, in all alternat"),
        ((((VOCAB_SIZE,),),), f"force_words: token id {VOCAB_SIZE} is not in the vocabulary"),
    ],
)
def test_what_is_no_word_is_refused(words: Words, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        prepare(ask(words), tiny_model().model)

    assert str(caught.value).startswith(message)
    assert caught.value.param == "force_words"


@pytest.mark.parametrize("words", [(((1,),),) * 33, (((1,),) * 17,)])
def test_too_many_words_are_refused(words: Words) -> None:
    with pytest.raises(InvalidParameter, match=r"force_words has (33|17) entries. Use at most"):
        ask(words)


WORDS: Words = (((A, B, C), (A, D)), ((B,),), ((A, A, B),))
FORCED = ForcedWords(WORDS)


@pytest.mark.parametrize(
    ("text", "missing", "progress", "next_tokens"),
    [
        ((), (0, 1, 2), 0, (A, B)),
        ((A,), (0, 1, 2), 1, (B, D, A)),
        ((A, A), (0, 1, 2), 2, (B, D, A)),  # of the last word two or one, of the first one
        ((A, A, B), (0,), 6 + 2, (C,)),  # and it has begun (A, B, C)
        ((A, A, B, C), (), 9, ()),
        ((A, D), (1, 2), 3, (B, A)),
        ((A, D, B, D), (2,), 6, (A,)),
    ],
)
def test_progress_by_hand(text: Text, missing: Text, progress: int, next_tokens: Text) -> None:
    standing = FORCED.follow(text)

    assert standing.missing == missing
    assert FORCED.progress(standing) == progress
    assert set(FORCED.next_tokens(standing)) == set(next_tokens)


@given(st.lists(st.sampled_from([A, B, C, D]), max_size=10).map(tuple))
def test_each_wanted_token_brings_a_text_on(text: Text) -> None:
    standing = FORCED.follow(text)

    gains = [
        FORCED.progress(FORCED.follow((*text, token_id))) - FORCED.progress(standing)
        for token_id in FORCED.next_tokens(standing)
    ]

    assert bool(gains) == bool(standing.missing)
    assert not gains or max(gains) >= 1
    assert list(standing.missing) == missing_words(WORDS, text)
    assert FORCED.progress(standing) == bank(WORDS, text)
    assert set(FORCED.next_tokens(standing)) == wanted_tokens(WORDS, text)


def test_a_forced_text_in_a_batch_and_after_preemption_is_the_text_alone() -> None:
    model = tiny_model(5).model
    requests = [
        replace(ask(some_words(random.Random(i)), num_beams=n, num_sequences=n), request_id=str(i))
        for i, n in product(range(4), (2, 4))
    ]
    requests = [replace(r, request_id=str(i)) for i, r in enumerate(requests)]

    alone = [run_alone(model, request).token_ids for request in requests]

    for config in (EngineConfig(num_blocks=400), EngineConfig(num_blocks=30, block_size=4)):
        together = run_all(model, requests, config, arrive_every=2)
        assert [result.token_ids for result in together] == alone
