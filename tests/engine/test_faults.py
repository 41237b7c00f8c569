"""What goes wrong for one request ends that request alone; all others come to what they would have.

Three hundred faults are injected: at the Nth forward pass, mask, sampling and spelling of a token.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.faults import Done, Guilty, in_halves
from penstock.engine.prepare import PreparedRequest, prepare
from penstock.errors import EngineFailed
from penstock.model.loading import LoadedModel
from penstock.types import DecodingParams, GenerationRequest, RequestFinished
from tests.engine.driving import Result
from tests.engine.faulty import (
    Countdown,
    FaultyFamily,
    FaultyFollower,
    FaultyTokenizer,
    raise_error,
    raise_memory,
)
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, tiny_model

TINY = tiny_model(7).model
CONFIG = EngineConfig(num_blocks=120, block_size=4, max_batch_tokens=24)
FAILS = {"exception": raise_error, "memory": raise_memory}
NUM_REQUESTS = 5
MARKER = 250  # the first token of request i's prompt is MARKER + i
REQUESTS = [
    GenerationRequest(
        request_id=str(i),
        prompt=(MARKER + i, *range(1 + i, 8 + 2 * i)),
        model="tiny",
        strategy=strategy,
        params=replace(params, logit_bias=((EOS, -100.0),)),  # all write until the end
        max_new_tokens=6,
        num_sequences=num_sequences,
        seed=i,
        logprobs=1 if i % 2 else None,
    )
    for i, (strategy, params, num_sequences) in enumerate(
        [
            ("sampling", DecodingParams(temperature=0.9, top_p=0.9), 1),
            ("greedy", DecodingParams(repetition_penalty=1.2), 1),
            ("beam_search", DecodingParams(num_beams=3), 2),
            ("sampling", DecodingParams(temperature=1.3, min_p=0.05), 2),
            ("top_k", DecodingParams(top_k=20), 1),
        ]
    )
]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="penstock")


def _run(model: LoadedModel, prepared: Sequence[PreparedRequest]) -> list[Result]:
    """Run requests that arrive one after the other; all blocks are free afterwards."""
    engine = Engine(model, CONFIG)
    results = {p.request.request_id: Result() for p in prepared}
    waiting = list(prepared)
    while waiting or engine.has_work:
        if waiting:
            engine.add(waiting.pop(0))
        if isinstance(model.tokenizer, FaultyTokenizer):
            model.tokenizer.is_armed = not waiting
        for output in engine.step():
            results[output.request_id].take(output)
    stats = engine.stats()
    assert stats.num_free_blocks == stats.num_blocks, "blocks were left behind"
    return list(results.values())


@cache
def _undisturbed() -> list[Result]:
    return _run(TINY, [prepare(request, TINY) for request in REQUESTS])


def _assert_only(guilty: int | None, results: Sequence[Result], *, told: str = "") -> None:
    """Only `guilty` failed, with a word on why; everybody else got what they would have."""
    for i, (result, expected) in enumerate(zip(results, _undisturbed(), strict=True)):
        assert result.finished is not None, "every request is answered"
        if i == guilty:
            assert isinstance(result.finished.error, EngineFailed)
            assert told in str(result.finished.error)
        else:
            assert result.finished.error is None
            assert (result.pieces, result.sequences) == (expected.pieces, expected.sequences)


def _with_family(family: FaultyFamily) -> LoadedModel:
    return replace(TINY, family=family)


@pytest.mark.parametrize("seed", range(45))
@pytest.mark.parametrize("kind", FAILS)
def test_a_forward_pass_that_fails_on_a_request_ends_it_alone(kind: str, seed: int) -> None:
    guilty = random.Random(seed).randrange(NUM_REQUESTS)
    countdown = Countdown(1 + seed % 6, FAILS[kind])
    model = _with_family(FaultyFamily(TINY.family, MARKER + guilty, countdown))

    results = _run(model, [prepare(request, TINY) for request in REQUESTS])

    assert countdown.has_failed
    told = "Memory ran out" if kind == "memory" else "could not be continued"
    _assert_only(guilty, results, told=told)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("kind", FAILS)
def test_a_forward_pass_that_fails_once_fails_nobody_who_has_company(kind: str, seed: int) -> None:
    countdown = Countdown(NUM_REQUESTS + seed % 5, FAILS[kind], lasts=False)
    model = _with_family(FaultyFamily(TINY.family, None, countdown))

    results = _run(model, [prepare(request, TINY) for request in REQUESTS])

    assert countdown.has_failed
    _assert_only(None, results)


@pytest.mark.parametrize("seed", range(50))
def test_logits_that_are_no_numbers_end_their_request_alone(seed: int) -> None:
    guilty = random.Random(seed).randrange(NUM_REQUESTS)
    countdown = Countdown(1 + seed % 6, lambda: None)
    model = _with_family(FaultyFamily(TINY.family, MARKER + guilty, countdown, gives_nan=True))

    results = _run(model, [prepare(request, TINY) for request in REQUESTS])

    assert countdown.has_failed
    _assert_only(guilty, results, told="no numbers")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [*FAILS, "wrong mask"])
def test_a_constraint_that_fails_ends_its_request_alone(kind: str, seed: int) -> None:
    guilty = random.Random(seed).randrange(NUM_REQUESTS)
    prepared = [prepare(request, TINY) for request in REQUESTS]
    mask = torch.ones(3, dtype=torch.bool) if kind == "wrong mask" else None
    countdown = Countdown(1 + seed % 6, FAILS.get(kind, lambda: None))
    follower = FaultyFollower(VOCAB_SIZE, countdown, mask)
    prepared[guilty] = replace(prepared[guilty], constraint=follower)  # type: ignore[arg-type]

    results = _run(TINY, prepared)

    assert countdown.has_failed
    _assert_only(guilty, results)


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("kind", FAILS)
def test_a_token_that_cannot_be_spelled_ends_one_request(kind: str, seed: int) -> None:
    countdown = Countdown(1 + 2 * seed, FAILS[kind], lasts=False)
    model = replace(TINY, tokenizer=FaultyTokenizer(TINY.tokenizer, countdown))

    results = _run(model, [prepare(request, TINY) for request in REQUESTS])

    assert countdown.has_failed
    (guilty,) = [i for i, r in enumerate(results) if r.finished and r.finished.error]
    _assert_only(guilty, results)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("bias", [float("inf"), float("nan")])
def test_scores_that_a_processor_spoils_end_their_request_alone(bias: float, seed: int) -> None:
    guilty = seed % NUM_REQUESTS
    prepared = [prepare(request, TINY) for request in REQUESTS]
    params = replace(prepared[guilty].request.params)
    object.__setattr__(params, "logit_bias", ((seed, bias),))  # past the check of its range
    prepared[guilty] = replace(
        prepared[guilty], request=replace(prepared[guilty].request, params=params)
    )

    _assert_only(guilty, _run(TINY, prepared), told="no numbers")


@pytest.mark.parametrize("wanted", [{"prompt_logprobs": 0}, {"embed": True}])
def test_a_prompt_that_is_read_to_no_numbers_ends_its_request_alone(wanted: dict[str, int]) -> None:
    request = replace(REQUESTS[0], max_new_tokens=0, **wanted)
    inner = TINY.family

    class Spoiled:
        def __getattr__(self, name: str) -> object:
            return getattr(inner, name)

        def forward(self, *arguments: object) -> torch.Tensor:
            return inner.forward(*arguments) * float("nan")  # type: ignore[arg-type]

        def hidden(self, *arguments: object) -> list[torch.Tensor]:
            states = inner.hidden(*arguments)  # type: ignore[attr-defined]
            return [state * float("nan") for state in states]

    model = replace(TINY, family=Spoiled())  # type: ignore[arg-type]

    (result,) = _run(model, [prepare(request, TINY)])

    assert result.finished is not None
    assert "no numbers" in str(result.finished.error)


def test_a_text_that_cannot_be_given_out_at_its_cancellation_ends_alone() -> None:
    engine = Engine(TINY, CONFIG)
    for i in (0, 1):
        engine.add(prepare(REQUESTS[i], TINY))
    engine.step()
    request = engine._requests["0"]
    request.cancel = raise_error  # type: ignore[method-assign,assignment]
    engine.cancel("0")

    outputs = engine.step()

    (ended,) = [o for o in outputs if isinstance(o, RequestFinished)]
    assert ended.request_id == "0"
    assert isinstance(ended.error, EngineFailed)


@pytest.mark.parametrize("guilty", [set(), {0}, {6}, {2, 3}, {0, 1, 2, 3, 4, 5, 6}])
def test_halving_finds_exactly_the_guilty(guilty: set[int]) -> None:
    def work(items: Sequence[int]) -> list[int]:
        if guilty & set(items):
            raise ValueError
        return [10 * item for item in items]

    outcomes = list(in_halves(range(7), work))

    assert {o.item for o in outcomes if isinstance(o, Guilty)} == guilty
    done = [result for o in outcomes if isinstance(o, Done) for result in o.result]
    assert done == [10 * item for item in range(7) if item not in guilty]


def test_nothing_is_halved_when_there_is_nothing() -> None:
    assert list(in_halves([], raise_error)) == []  # type: ignore[arg-type]
