"""Who waits is told where it stands; whose time is up gets what there is; nobody waits for ever."""

from dataclasses import dataclass, field, replace

import pytest

from penstock.decoding.strategies import STRATEGIES
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.engine.waiting import PAUSE_SECONDS, WaitingRoom
from penstock.errors import InvalidParameter, ServerBusy
from penstock.types import (
    DecodingParams,
    EngineOutput,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    RequestQueued,
    RequestStarted,
)
from tests.engine.driving import Result, run_alone
from tests.tiny_gpt2 import EOS, tiny_model

TINY = tiny_model(7).model
ONE_PLACE = EngineConfig(num_blocks=64, max_sequences=1)


@dataclass
class Clock:
    """Tells the time that a test sets."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Waiter:
    request_id: str
    has_started: bool = False


@dataclass
class Driven:
    """An engine whose clock a test holds."""

    config: EngineConfig = ONE_PLACE
    clock: Clock = field(default_factory=Clock)
    results: dict[str, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = Engine(TINY, self.config, clock=self.clock)

    def add(self, request: GenerationRequest) -> Result:
        self.engine.add(prepare(request, TINY))
        return self.results.setdefault(request.request_id, Result())

    def step(self, seconds: float = 1.0) -> list[EngineOutput]:
        outputs = self.engine.step()
        for output in outputs:
            self.results[output.request_id].take(output)
        self.clock.now += seconds
        return outputs

    def finish(self) -> None:
        while self.engine.has_work:
            self.step()
        stats = self.engine.stats()
        assert stats.num_free_blocks == stats.num_blocks


def _request(request_id: str, **changes: object) -> GenerationRequest:
    request = GenerationRequest(
        request_id=request_id,
        prompt=(5, 6, 7),
        model="tiny",
        strategy="greedy",
        params=DecodingParams(logit_bias=((EOS, -100.0),)),
        max_new_tokens=4,
    )
    return replace(request, **changes)


def _queued(outputs: list[EngineOutput]) -> list[tuple[str, int, float | None]]:
    return [
        (o.request_id, o.position, o.estimated_seconds)
        for o in outputs
        if isinstance(o, RequestQueued)
    ]


def test_who_waits_is_told_its_place_and_later_how_long() -> None:
    driven = Driven()
    for name in "abc":
        driven.add(_request(name))

    first = driven.step()
    quiet = [driven.step() for _ in range(3)]
    moved = driven.step()

    assert _queued(first) == [("b", 1, None), ("c", 2, None)]
    assert not any(map(_queued, quiet))
    assert _queued(moved) == [("c", 1, 4.0)]  # the place of `b` was free after four steps
    driven.finish()


def test_who_is_taken_up_at_once_hears_of_no_queue() -> None:
    driven = Driven()
    driven.add(_request("a"))

    assert next(type(o) for o in driven.step()) is RequestStarted
    driven.finish()


def test_a_place_that_changes_often_is_told_now_and_then() -> None:
    room = WaitingRoom()
    names = [Waiter(str(i)) for i in range(4)]

    assert len(room.tell(names, 0.0)) == 4
    assert room.tell(names[1:], PAUSE_SECONDS / 2) == []
    assert [n.position for n in room.tell(names[2:], PAUSE_SECONDS)] == [1, 2]


def test_who_was_under_way_keeps_its_place_and_is_told_nothing() -> None:
    news = WaitingRoom().tell([Waiter("old", has_started=True), Waiter("new")], 0.0)

    assert [(n.request_id, n.position) for n in news] == [("new", 2)]


def test_the_pace_is_of_those_who_waited() -> None:
    room = WaitingRoom()
    room.take_up(1, 0.0)  # nobody waited for that
    room.tell([Waiter("a"), Waiter("b")], 10.0)
    room.take_up(1, 13.0)

    (news,) = room.tell([Waiter("b")], 13.0)

    assert news.estimated_seconds == 3.0


@pytest.mark.parametrize(
    "strategy", sorted(STRATEGIES.keys() - {"assisted"})
)  # which needs a draft
def test_a_text_whose_time_is_up_ends_as_it_stands(strategy: str) -> None:
    params = DecodingParams(
        num_beams=4, num_beam_groups=2, diversity_penalty=0.5, top_k=3, penalty_alpha=0.4,
        num_candidates=2, logit_bias=((EOS, -100.0),),
    )  # fmt: skip
    request = _request("a", strategy=strategy, params=params, max_new_tokens=60, seed=1)
    driven = Driven(EngineConfig(num_blocks=64))
    result = driven.add(replace(request, max_time=10.0))

    driven.finish()

    (sequence,) = result.sequences.values()
    assert sequence.finish_reason is FinishReason.TIME
    assert 1 <= len(sequence.token_ids) < 60
    assert sequence.text
    assert result.finished is not None and result.finished.error is None
    if "beam" not in strategy and strategy != "best_of_n":  # which choose among several
        whole = run_alone(TINY, request).sequences[0]
        assert whole.token_ids[: len(sequence.token_ids)] == sequence.token_ids


def test_time_that_is_not_used_up_changes_nothing() -> None:
    driven = Driven()
    result = driven.add(_request("a", max_time=1000.0))

    driven.finish()

    assert result.sequences[0].finish_reason is FinishReason.LENGTH


def test_who_runs_out_of_time_while_it_waits_gets_an_empty_text() -> None:
    driven = Driven()
    driven.add(_request("a", max_new_tokens=20))
    late = driven.add(_request("b", max_time=3.0, num_sequences=2, strategy="sampling"))

    driven.finish()

    assert late.started is not None
    assert [s.finish_reason for s in late.sequences.values()] == [FinishReason.TIME] * 2
    assert late.texts == ["", ""]


def test_a_long_prompt_is_given_up_when_its_time_is_up() -> None:
    driven = Driven(EngineConfig(num_blocks=64, max_batch_tokens=4))
    late = driven.add(_request("a", prompt=tuple(range(1, 60)), max_time=3.0))

    driven.finish()

    assert late.texts == [""]
    assert driven.engine.stats().num_computed_tokens < 30


def test_a_prompt_that_is_to_be_scored_is_scored_all_the_same() -> None:
    driven = Driven(EngineConfig(num_blocks=64, max_batch_tokens=4))
    result = driven.add(_request("a", prompt=tuple(range(1, 20)), max_time=1.0, prompt_logprobs=0))
    outputs = []
    while driven.engine.has_work:
        outputs += driven.step()

    assert "PromptScored" in {type(o).__name__ for o in outputs}
    assert result.sequences[0].finish_reason is FinishReason.TIME


def test_who_waits_too_long_is_turned_away_with_the_numbers() -> None:
    driven = Driven(replace(ONE_PLACE, max_wait_seconds=5.0))
    driven.add(_request("a", max_new_tokens=20))
    turned_away = driven.add(_request("b"))

    driven.finish()

    assert turned_away.started is None
    assert turned_away.finished is not None
    assert isinstance(turned_away.finished.error, ServerBusy)
    assert "waited 5 s" in str(turned_away.finished.error)
    assert isinstance(driven.results["a"].finished, RequestFinished)


@pytest.mark.parametrize("max_time", [0.0, -1.0, float("nan"), 86_401.0])
def test_a_time_out_of_range_is_refused(max_time: float) -> None:
    with pytest.raises(InvalidParameter, match="max_time"):
        _request("a", max_time=max_time)
