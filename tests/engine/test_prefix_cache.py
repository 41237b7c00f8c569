"""What texts have in common at their beginning is computed once, and changes no text."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.engine.block_manager import BlockManager
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prefixes import Content, PrefixCache, next_digest, start_of_chain
from penstock.engine.prepare import prepare
from penstock.engine.sequence import Sequence as EngineSequence
from penstock.model.loading import LoadedModel
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import Result
from tests.engine.faulty import Countdown, FaultyFamily
from tests.tiny_gpt2 import VOCAB_SIZE, tiny_model
from tests.tiny_t5 import tiny_t5

BLOCK_SIZE = 4
TINY = tiny_model(7, context_length=512).model
ROOMY = EngineConfig(num_blocks=800, block_size=BLOCK_SIZE)
CRAMPED = EngineConfig(num_blocks=48, block_size=BLOCK_SIZE, max_batch_tokens=16)
STORIES = [tuple(1 + (7 * i + 31 * story) % 250 for i in range(60)) for story in range(3)]

few_examples = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
waves = st.lists(
    st.lists(
        st.builds(
            GenerationRequest,
            request_id=st.just("r"),
            prompt=st.builds(
                lambda story, length, end: (*STORIES[story][:length], *end),
                st.integers(0, 2),
                st.sampled_from([0, 3, 4, 17, 32, 50]),
                st.lists(st.integers(1, VOCAB_SIZE - 1), min_size=1, max_size=3),
            ),
            model=st.just("tiny"),
            strategy=st.sampled_from(
                ["sampling", "greedy", "beam_search", "contrastive_search", "prompt_lookup"]
            ),
            params=st.builds(
                DecodingParams,
                num_beams=st.integers(1, 3),
                top_k=st.integers(1, 3),
                penalty_alpha=st.just(0.5),
                prompt_lookup_num_tokens=st.just(3),
            ),
            max_new_tokens=st.integers(0, 12),
            seed=st.integers(0, 9),
            tenant=st.sampled_from(["", "else"]),
            prompt_logprobs=st.sampled_from([None, None, 0]),
            embed=st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=2,
    max_size=4,
)


def _run(
    engine: Engine, requests: Sequence[GenerationRequest], model: LoadedModel = TINY
) -> list[Result]:
    """Run requests together on an engine that may have run others before."""
    numbered = [replace(r, request_id=str(i)) for i, r in enumerate(requests)]
    results = {r.request_id: Result() for r in numbered}
    for request in numbered:
        engine.add(prepare(request, model))
    while engine.has_work:
        for output in engine.step():
            results[output.request_id].take(output)
    assert engine.stats().num_free_blocks == engine.stats().num_blocks
    return list(results.values())


def _request(prompt: Sequence[int], **changes: object) -> GenerationRequest:
    request = GenerationRequest(
        request_id="r", prompt=tuple(prompt), model="tiny", strategy="greedy", max_new_tokens=4
    )
    return replace(request, **changes)


def _num_cached(result: Result) -> int:
    assert result.finished is not None
    return result.finished.num_cached_tokens


@pytest.mark.parametrize("config", [ROOMY, CRAMPED], ids=["roomy", "cramped"])
@few_examples
@given(waves)
def test_a_text_is_the_same_with_and_without_the_cache(
    config: EngineConfig, waves: list[list[GenerationRequest]]
) -> None:
    with_cache = Engine(TINY, config)

    for wave in waves:
        cached = _run(with_cache, wave)

        plain = _run(Engine(TINY, replace(ROOMY, prefix_cache=False)), wave)
        assert [(r.token_ids, r.texts) for r in cached] == [(r.token_ids, r.texts) for r in plain]
        assert all(r.finished and r.finished.error is None for r in cached)


def test_a_second_prompt_with_the_same_400_tokens_computes_only_the_rest() -> None:
    prefix = [1 + i * 7 % 250 for i in range(400)]
    engine = Engine(TINY, EngineConfig(num_blocks=128))
    _run(engine, [_request([*prefix, 5, 6])])
    before = engine.stats().num_computed_tokens

    (second,) = _run(engine, [_request([*prefix, 8, 9, 10], max_new_tokens=1)])

    assert engine.stats().num_computed_tokens - before == 3
    assert (_num_cached(second), engine.stats().num_cached_tokens) == (400, 400)


def test_a_conversation_goes_on_from_what_was_written() -> None:
    engine = Engine(TINY, ROOMY)
    (first,) = _run(engine, [_request(range(1, 21), max_new_tokens=20)])

    (second,) = _run(engine, [_request([*range(1, 21), *first.token_ids[0], 7])])

    assert _num_cached(second) >= 36


def test_another_tenant_finds_nothing() -> None:
    engine = Engine(TINY, ROOMY)
    _run(engine, [_request(STORIES[0], tenant="one")])

    (other,) = _run(engine, [_request(STORIES[0], tenant="other")])
    (same,) = _run(engine, [_request(STORIES[0], tenant="one")])

    assert (_num_cached(other), _num_cached(same)) == (0, 56)


def test_requests_of_one_step_do_not_wait_for_each_other() -> None:
    results = _run(Engine(TINY, ROOMY), [_request(STORIES[0]), _request(STORIES[0])])

    assert [_num_cached(r) for r in results] == [0, 0]


@pytest.mark.parametrize(
    "wanted",
    [
        {"prompt_logprobs": 0},
        {"embed": True},
        {"strategy": "contrastive_search", "params": DecodingParams(top_k=2, penalty_alpha=0.5)},
    ],
)
def test_who_looks_at_the_whole_prompt_has_it_computed(wanted: dict[str, object]) -> None:
    engine = Engine(TINY, ROOMY)
    _run(engine, [_request(STORIES[0])])

    (whole,) = _run(engine, [_request(STORIES[0], **wanted)])

    assert _num_cached(whole) == 0


def test_it_can_be_turned_off() -> None:
    engine = Engine(TINY, replace(ROOMY, prefix_cache=False))
    for _ in range(2):
        (result,) = _run(engine, [_request(STORIES[0])])

    assert _num_cached(result) == 0


def test_what_an_encoder_reads_is_not_shared() -> None:
    model = tiny_t5(7).model
    engine = Engine(model, ROOMY)
    for _ in range(2):
        (result,) = _run(engine, [_request(STORIES[0], max_new_tokens=12)], model)

    assert _num_cached(result) == 0


def test_what_came_to_no_numbers_is_not_kept() -> None:
    family = FaultyFamily(TINY.family, STORIES[0][0], Countdown(1, lambda: None), gives_nan=True)
    engine = Engine(replace(TINY, family=family), ROOMY)
    (failed,) = _run(engine, [_request(STORIES[0])])
    family.gives_nan = False

    (again,) = _run(engine, [_request(STORIES[0])])

    assert failed.finished is not None and failed.finished.error is not None
    assert _num_cached(again) == 0


def _kept(blocks: BlockManager, token_ids: Sequence[int]) -> None:
    """Compute a text, publish it and end it."""
    sequence = _sequence(token_ids)
    blocks.reuse(sequence)
    assert blocks.reserve(sequence, sequence.num_pending)
    sequence.num_computed = len(token_ids)
    blocks.publish(sequence)
    blocks.free(sequence)


def _sequence(token_ids: Sequence[int]) -> EngineSequence:
    return EngineSequence(0, list(token_ids), num_prompt=len(token_ids), salt="")


def _num_reused(blocks: BlockManager, token_ids: Sequence[int]) -> int:
    sequence = _sequence([*token_ids, 99])
    blocks.reuse(sequence)
    num_reused = sequence.num_computed
    blocks.free(sequence)
    return num_reused


def test_the_end_of_the_text_used_longest_ago_is_given_up_first() -> None:
    blocks = BlockManager(num_blocks=6, block_size=BLOCK_SIZE, prefixes=PrefixCache(max_idle=6))
    old, new = range(1, 9), range(11, 19)
    _kept(blocks, old)
    _kept(blocks, new)
    assert blocks.num_free == 6

    _kept(blocks, range(21, 33))  # two blocks were free, one is given up

    assert [_num_reused(blocks, text) for text in (new, old)] == [8, 4]


def test_what_was_used_again_is_kept_longer() -> None:
    blocks = BlockManager(num_blocks=4, block_size=BLOCK_SIZE, prefixes=PrefixCache(max_idle=6))
    old, new = range(1, 9), range(11, 19)
    _kept(blocks, old)
    _kept(blocks, new)
    assert _num_reused(blocks, old) == 8

    _kept(blocks, range(21, 29))

    assert [_num_reused(blocks, text) for text in (new, old)] == [0, 8]


def test_no_more_is_kept_of_what_has_ended_than_may_be() -> None:
    cache = PrefixCache(max_idle=3)
    blocks = BlockManager(num_blocks=9, block_size=BLOCK_SIZE, prefixes=cache)
    old, new = range(1, 9), range(11, 19)
    _kept(blocks, old)
    _kept(blocks, new)

    assert cache.num_idle == 3
    assert blocks.num_free == 9
    assert [_num_reused(blocks, text) for text in (new, old)] == [8, 4]


def test_something_is_always_left_to_compute() -> None:
    blocks = BlockManager(num_blocks=4, block_size=BLOCK_SIZE, prefixes=PrefixCache(max_idle=6))
    _kept(blocks, range(8))
    sequence = _sequence(range(8))

    blocks.reuse(sequence)

    assert (sequence.num_computed, sequence.num_pending) == (4, 4)


def test_guesses_are_never_published() -> None:
    blocks = BlockManager(num_blocks=4, block_size=BLOCK_SIZE, prefixes=PrefixCache(max_idle=6))
    sequence = _sequence(range(6))
    sequence.guess([6, 7])
    assert blocks.reserve(sequence, 8)
    sequence.num_computed = 8

    blocks.publish(sequence)

    assert sequence.num_published == 1


def test_a_digest_alone_is_not_believed() -> None:
    cache = PrefixCache(max_idle=1)
    digest = next_digest(start_of_chain(""), [1, 2])
    cache.add(3, Content(digest, (1, 2)))

    assert cache.find(Content(digest, (1, 2))) == 3
    assert cache.find(Content(digest, (1, 7))) is None


def test_digests_tell_salts_orders_and_places_apart() -> None:
    start = start_of_chain("a")
    digests = {
        start,
        start_of_chain("b"),
        next_digest(start, [1, 2]),
        next_digest(start, [2, 1]),
        next_digest(start_of_chain("b"), [1, 2]),
        next_digest(next_digest(start, [1, 2]), [1, 2]),
    }

    assert len(digests) == 6
