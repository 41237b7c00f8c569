"""Guessing ahead changes how many steps a text takes, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.decoding.strategies.pace import Pace
from penstock.decoding.strategies.phrases import Phrases
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.engine.test_equivalences import ROOMY, TINY, few_examples, generation_requests

GREEDY = GenerationRequest(
    request_id="r",
    prompt=(9, 8, 7, 6, 9, 8, 7),
    model="tiny",
    strategy="prompt_lookup",
    params=DecodingParams(temperature=0, prompt_lookup_num_tokens=8),
    max_new_tokens=60,
    logprobs=1,
    seed=3,
)


@pytest.mark.parametrize(
    ("token_ids", "longest", "count", "found"),
    [
        ([1, 2, 3, 4, 1, 2], 2, 3, (3, 4, 1)),
        ([1, 2, 3, 4, 1, 2], 2, 1, (3,)),
        ([1, 2, 3, 9, 2, 4, 1, 2], 1, 2, (4, 1)),  # the latest place of one token
        ([1, 2, 3, 9, 2, 4, 1, 2], 3, 2, (3, 9)),  # a longer match wins over a later one
        ([1, 2, 3, 1, 2, 4, 1, 2], 2, 1, (4,)),  # of equal matches the latest wins
        ([7, 5, 6, 5, 6], 2, 4, (5, 6, 5, 6)),  # a loop goes on
        ([1, 2, 3], 3, 4, ()),
        ([1, 2, 1], 3, 0, ()),
        ([1], 3, 4, ()),
    ],
)
def test_guesses_are_what_followed_the_same_words_before(
    token_ids: list[int], longest: int, count: int, found: tuple[int, ...]
) -> None:
    assert Phrases(token_ids, longest=longest).continuation(count) == found


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5), st.integers(0, 9))
def test_a_text_that_grows_is_looked_up_as_one_that_is_searched_whole(
    token_ids: list[int], longest: int, count: int
) -> None:
    phrases = Phrases((), longest=longest)
    for i, token_id in enumerate(token_ids):
        phrases.extend([token_id])

        assert phrases.continuation(count) == _searched(token_ids[: i + 1], longest, count)


def _searched(token_ids: list[int], longest: int, count: int) -> tuple[int, ...]:
    """The tokens after the latest earlier place of as many of the last ones as occur again."""
    text = list(token_ids)
    for size in range(min(longest, len(text) - 1), 0, -1):
        for start in range(len(text) - size - 1, -1, -1):
            if text[start : start + size] == text[-size:]:
                for place in range(start + size, start + size + count):
                    text.append(text[place])
                return tuple(text[len(token_ids) :])
    return ()


def test_guesses_grow_longer_while_they_are_right() -> None:
    pace = Pace(10)

    lengths = [pace.next_length()]
    for _ in range(3):
        pace.note(lengths[-1], lengths[-1])
        lengths.append(pace.next_length())

    assert lengths == [4, 8, 10, 10]


def test_wrong_guesses_grow_rare_and_short() -> None:
    pace = Pace(10)

    lengths = []
    for _ in range(400):
        lengths.append(pace.next_length())
        if lengths[-1]:
            pace.note(lengths[-1], 0)

    assert lengths[:4] == [4, 2, 0, 1]
    assert sum(lengths[100:]) <= 10  # less than one row in thirty


def test_a_right_guess_ends_the_pauses() -> None:
    pace = Pace(10)
    for _ in range(100):
        if length := pace.next_length():
            pace.note(length, 0)
    while not (length := pace.next_length()):
        pass

    pace.note(length, 1)

    assert pace.next_length() == 2


@few_examples
@given(generation_requests(), st.integers(0, 12), st.integers(1, 4), st.booleans())
def test_what_is_written_is_what_sampling_writes(
    request: GenerationRequest, num_guesses: int, longest: int, is_greedy: bool
) -> None:
    temperature = 0.0 if is_greedy else request.params.temperature
    params = replace(
        request.params,
        temperature=temperature,
        mirostat=0,
        prompt_lookup_num_tokens=num_guesses,
        max_matching_ngram_size=longest,
    )
    request = replace(request, prompt=request.prompt * 2, strategy="prompt_lookup", params=params)

    guessed = run_alone(TINY.model, request, ROOMY)

    sampled = run_alone(TINY.model, replace(request, strategy="sampling"), ROOMY)
    assert guessed.token_ids == sampled.token_ids
    assert guessed.texts == sampled.texts
    for one, other in zip(guessed.sequences.values(), sampled.sequences.values(), strict=True):
        assert one.finish_reason == other.finish_reason
        assert [x.chosen.logprob for x in one.logprobs] == pytest.approx(
            [x.chosen.logprob for x in other.logprobs], abs=1e-4
        )


def _num_steps(request: GenerationRequest, config: EngineConfig | None = None) -> int:
    engine = Engine(TINY.model, config or ROOMY)
    engine.add(prepare(request, TINY.model))
    while engine.has_work:
        engine.step()
    stats = engine.stats()
    assert stats.num_free_blocks == stats.num_blocks
    return stats.num_steps


def test_a_text_that_repeats_itself_takes_fewer_steps() -> None:
    biased = ((5, 90.0),)  # it writes this token and no other
    params = replace(GREEDY.params, logit_bias=biased)
    request = replace(GREEDY, params=params)

    num_steps = _num_steps(request)

    without = replace(request, params=replace(params, prompt_lookup_num_tokens=0))
    assert _num_steps(without) == 60
    assert num_steps < 15
    assert run_alone(TINY.model, request).token_ids == run_alone(TINY.model, without).token_ids


def test_guesses_that_do_not_fit_the_step_or_the_cache_are_given_up() -> None:
    biased = ((5, 90.0),)
    request = replace(GREEDY, params=replace(GREEDY.params, logit_bias=biased))

    narrow = _num_steps(request, EngineConfig(num_blocks=400, max_batch_tokens=2))
    tight = _num_steps(request, EngineConfig(num_blocks=5, block_size=16))  # 67 tokens fit exactly

    assert 30 < narrow < 66  # at most one guess fits beside the last token
    assert tight < 15
