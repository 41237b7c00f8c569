"""Sources are encoded once, shared, and given back; limits and log-probabilities mean theirs."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.block_manager import BlockManager
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.engine.sequence import Sequence, Source
from penstock.errors import InvalidParameter, PenstockError, PromptTooLong
from penstock.model.families.t5 import T5
from penstock.model.kv_cache import KVCache
from penstock.ops.interface import SourceBatch
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_all, run_alone
from tests.tiny_t5 import START, reference_answer, tiny_t5

NUM_BLOCKS = 12
BLOCK_SIZE = 4


def _request(**changes: object) -> GenerationRequest:
    fields = {"request_id": "r", "prompt": (1, 2, 3, 4, 5), "model": "tiny-t5", "seed": 3}
    return GenerationRequest(**(fields | changes))


@given(st.data())
def test_any_use_keeps_every_block_of_sources_accounted_for(data: st.DataObject) -> None:
    blocks = BlockManager(num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE)
    sources = [Source(tuple(range(length))) for length in (3, 9)]
    alive: list[Sequence] = []
    for _ in range(data.draw(st.integers(1, 40))):
        action = data.draw(st.sampled_from(["new", "grow", "fork", "free", "forget"]))
        if action == "new" or not alive:
            source = data.draw(st.sampled_from(sources))
            alive.append(Sequence(0, [], num_prompt=0, source=source))
        sequence = data.draw(st.sampled_from(alive))
        if action == "grow":
            num_tokens, free = data.draw(st.integers(1, 7)), blocks.num_free
            if blocks.reserve(sequence, num_tokens):
                sequence.num_computed += num_tokens
            else:
                assert blocks.num_free == free
        elif action == "fork":
            child = Sequence(0, [], num_prompt=0)
            blocks.fork(sequence, child)
            alive.append(child if child.source else replace(child, source=sequence.source))
        elif action in ("free", "forget"):  # preempted, or over
            blocks.free(sequence)
            if action == "forget":
                alive.remove(sequence)
        used = [block for s in sources for block in s.block_table]
        used += {block for s in alive for block in s.block_table}
        assert len(set(used)) == len(used) == NUM_BLOCKS - blocks.num_free
        for source in sources:
            holders = [s for s in alive if s.source is source and s.holds_source]
            assert source.num_holders == len(holders)
            assert len(source.block_table) == (len(source.token_ids) + 3) // 4 * bool(holders)
        assert all(s.holds_source for s in alive if s.block_table)


def _record_encoded(family: T5) -> list[tuple[int, ...]]:
    """What the family's encoder reads from now on."""
    encoded: list[tuple[int, ...]] = []
    encode = family.encode

    def recording(batch: SourceBatch, cache: KVCache) -> None:
        ends = pairwise(batch.starts)
        encoded.extend(tuple(batch.token_ids[start:end].tolist()) for start, end in ends)
        encode(batch, cache)

    family.encode = recording
    return encoded


def test_a_source_is_encoded_once_for_all_beams_and_steps() -> None:
    model = tiny_t5(0).model
    encoded = _record_encoded(model.family)
    requests = [
        _request(
            request_id=str(i),
            prompt=(i + 1,) * 20,
            strategy="beam_search",
            params=DecodingParams(num_beams=4),
            max_new_tokens=12,
        )
        for i in range(3)
    ]

    run_all(model, requests, EngineConfig(num_blocks=200))

    assert encoded == [request.prompt for request in requests]


def test_a_prompt_longer_than_a_steps_budget_is_read_whole_and_holds_up_no_one_for_long() -> None:
    model = tiny_t5(0).model
    config = EngineConfig(num_blocks=200, max_batch_tokens=8)
    requests = [
        _request(request_id=str(i), prompt=(i + 1,) * 60, strategy="greedy", max_new_tokens=9)
        for i in range(3)
    ]
    engine = Engine(model, config)
    for request in requests:
        engine.add(prepare(request, model))

    engine.step()

    assert (engine.stats().num_running, engine.stats().num_waiting) == (1, 2)
    together = run_all(model, requests, config)
    assert [r.token_ids for r in together] == [run_alone(model, r).token_ids for r in requests]


@pytest.mark.parametrize(
    ("changes", "max_new_tokens"),
    [
        ({}, 99),  # max_length is 100 and counts the token the text starts from
        ({"max_length": 2}, 1),
        ({"max_length": 128}, 127),
        ({"max_new_tokens": 127}, 127),
        ({"prompt": (7,) * 128, "max_new_tokens": 127}, 127),  # each has a context of its own
    ],
)
def test_the_prompt_takes_no_room_from_the_answer(
    changes: dict[str, object], max_new_tokens: int
) -> None:
    model = tiny_t5(0).model

    prepared = prepare(_request(**changes), model)

    assert prepared.stopping.max_new_tokens == max_new_tokens
    assert prepared.first_token_ids == (START,)
    assert prepared.source_token_ids == prepared.prompt_token_ids


@pytest.mark.parametrize(
    ("changes", "error", "param", "message"),
    [
        (
            {"prompt": (7,) * 130},
            PromptTooLong,
            "prompt",
            "The prompt has 130 tokens; the context of tiny-t5 is 128. "
            "Shorten the prompt by at least 2 tokens.",
        ),
        (
            {"max_new_tokens": 128},
            InvalidParameter,
            "max_new_tokens",
            "max_new_tokens=128 is more than tiny-t5 writes: with its start a text has at most "
            "128 tokens. Set max_new_tokens to 127 or less.",
        ),
        (
            {"max_length": 129},
            InvalidParameter,
            "max_length",
            "max_length=129 is more than tiny-t5 writes: with its start a text has at most "
            "128 tokens. Set max_length to 128 or less.",
        ),
        (
            {"max_length": 1},
            InvalidParameter,
            "max_length",
            "max_length=1 leaves room only for the token that every text starts from. "
            "Set max_length to 2 or more, or use max_new_tokens.",
        ),
        (
            {"prompt_logprobs": 1},
            InvalidParameter,
            "prompt_logprobs",
            "tiny-t5 reads a prompt with an encoder and never predicts it, so the prompt's tokens "
            "have no log-probabilities. Leave prompt_logprobs out, or choose a model that "
            "continues its prompt.",
        ),
    ],
)
def test_what_does_not_fit_is_said(
    changes: dict[str, object], error: type[PenstockError], param: str, message: str
) -> None:
    with pytest.raises(error) as raised:
        prepare(_request(**changes), tiny_t5(0).model)

    assert (str(raised.value), raised.value.param) == (message, param)
    assert type(raised.value) is error


def test_a_request_that_could_never_fit_the_cache_with_its_source_is_refused() -> None:
    model = tiny_t5(0).model
    engine = Engine(model, EngineConfig(num_blocks=4, block_size=16))
    request = _request(prompt=(7,) * 40, strategy="greedy", max_new_tokens=20)

    with pytest.raises(InvalidParameter, match="need 5 cache blocks; this engine has 4"):
        engine.add(prepare(request, model))


def test_logprobs_are_those_of_the_model() -> None:
    tiny = tiny_t5(4)
    request = _request(strategy="greedy", max_new_tokens=10, logprobs=3)

    (finished,) = run_alone(tiny.model, request).sequences.values()

    with torch.inference_mode():
        logits = tiny.reference(
            input_ids=torch.tensor([request.prompt]),
            decoder_input_ids=torch.tensor([[START, *finished.token_ids]]),
        ).logits[0]
    expected = logits.log_softmax(-1)
    for row, token_id, scored in zip(expected, finished.token_ids, finished.logprobs, strict=False):
        assert scored.chosen.token_id == token_id
        assert scored.chosen.logprob == pytest.approx(row[token_id].item(), abs=1e-4)
        top = [(t.token_id, pytest.approx(t.logprob, abs=1e-4)) for t in scored.top]
        assert top == list(
            zip(row.topk(3).indices.tolist(), row.topk(3).values.tolist(), strict=True)
        )


@pytest.mark.parametrize(("strategy", "num_beams"), [("greedy", 1), ("beam_search", 3)])
@pytest.mark.parametrize("num_kept", [1, 4])
def test_a_prefix_is_the_beginning_of_the_text_and_not_of_the_source(
    strategy: str, num_beams: int, num_kept: int
) -> None:
    tiny = tiny_t5(3)
    kept = tuple(range(40, 40 + num_kept))
    answer = reference_answer(
        tiny, (5, 6, 7), 6, num_beams=num_beams, decoder_input_ids=torch.tensor([[START, *kept]])
    )[0]

    rest = run_alone(
        tiny.model,
        _request(
            prompt=(5, 6, 7),
            prefix=kept,
            strategy=strategy,
            params=DecodingParams(num_beams=num_beams),
            max_new_tokens=6,
        ),
    ).token_ids[0]

    assert answer[:num_kept] == list(kept)
    assert rest == answer[num_kept:]


def test_a_prefix_takes_room_from_the_text_and_is_checked() -> None:
    model = tiny_t5(3, context_length=20).model

    with pytest.raises(InvalidParameter, match="Set max_new_tokens to 9 or less"):
        prepare(_request(prefix=(5,) * 10, max_new_tokens=10), model)
    with pytest.raises(InvalidParameter, match="Set max_length to 12 or more"):
        prepare(_request(prefix=(5,) * 10, max_length=11), model)
    with pytest.raises(InvalidParameter, match="Token id 99999"):
        prepare(_request(prefix=(99999,)), model)
