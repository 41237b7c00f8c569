"""The worker: every request gets an answer, whatever the engine does."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from penstock.errors import EngineFailed, InvalidParameter, PromptTooLong, ShuttingDown
from penstock.serving.engine_thread import EngineThread
from penstock.serving.worker import Worker
from penstock.types import (
    EngineOutput,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
)
from tests.fakes import FakeEngine, FakeKit, FakePrepared, fake_text


def request(name: str = "r", prompt: str = "Once upon", tokens: int = 5) -> GenerationRequest:
    return GenerationRequest(
        request_id=name, prompt=prompt, model="penstock-tiny", max_new_tokens=tokens
    )


@pytest.fixture
async def kit() -> FakeKit:
    return FakeKit(lambda: FakeEngine(step_seconds=0.002))


@pytest.fixture
async def worker(kit: FakeKit) -> AsyncIterator[Worker[FakePrepared]]:
    worker = Worker(kit, name="test")
    await worker.start()
    yield worker
    await worker.close()


async def outputs_of(worker: Worker[FakePrepared], asked: GenerationRequest) -> list[EngineOutput]:
    stream = await worker.submit(asked)
    try:
        return [output async for output in stream]
    finally:
        stream.close()


async def text_of(worker: Worker[FakePrepared], asked: GenerationRequest) -> str:
    (finished,) = [o for o in await outputs_of(worker, asked) if isinstance(o, SequenceFinished)]
    return finished.text


async def test_outputs_come_in_order_and_end_with_the_last_word(
    worker: Worker[FakePrepared],
) -> None:
    outputs = await outputs_of(worker, request(tokens=3))

    assert isinstance(outputs[0], RequestStarted)
    assert isinstance(outputs[-2], SequenceFinished)
    assert isinstance(outputs[-1], RequestFinished)
    assert outputs[-2].text == fake_text(3)
    assert worker.num_open == 0


async def test_many_at_once_each_get_their_own(worker: Worker[FakePrepared]) -> None:
    texts = await asyncio.gather(
        *(text_of(worker, request(f"r{n}", tokens=n)) for n in range(1, 60))
    )

    assert list(texts) == [fake_text(n) for n in range(1, 60)]


async def test_what_preparing_refuses_reaches_who_asked(worker: Worker[FakePrepared]) -> None:
    with pytest.raises(PromptTooLong):
        await worker.submit(request(tokens=10_000))

    assert worker.num_open == 0


async def test_what_the_engine_refuses_is_raised_on_submission() -> None:
    class Full(FakeEngine):
        def add(self, prepared: FakePrepared) -> None:
            if prepared.max_new_tokens > 10:
                raise InvalidParameter("It does not fit the cache.", "Ask for less.")
            super().add(prepared)

    worker = Worker(FakeKit(Full), name="test")
    await worker.start()
    with pytest.raises(InvalidParameter, match="does not fit the cache"):
        await worker.submit(request(tokens=11))

    assert worker.num_open == 0
    assert await text_of(worker, request(tokens=2)) == fake_text(2)
    await worker.close()


async def test_a_failed_step_answers_all_it_held_and_the_next_request_gets_a_fresh_engine(
    kit: FakeKit, worker: Worker[FakePrepared], caplog: pytest.LogCaptureFixture
) -> None:
    streams = [await worker.submit(request(f"r{n}", tokens=500)) for n in range(3)]
    streams.append(await worker.submit(request("poison", prompt="EXPLODE")))

    for stream in streams:
        with pytest.raises(EngineFailed):
            [output async for output in stream]

    assert await text_of(worker, request("after")) == fake_text(5)
    assert len(kit.engines) == 2
    assert caplog.text.count("A step failed") == 1


async def test_an_engine_that_cannot_be_made_again_fails_requests_one_by_one() -> None:
    made: list[FakeEngine] = []

    def make() -> FakeEngine:
        if len(made) == 1:
            made.append(FakeEngine())
            raise MemoryError("no room")
        made.append(FakeEngine())
        return made[-1]

    worker = Worker(FakeKit(make), name="test")
    await worker.start()
    with pytest.raises(EngineFailed):
        await outputs_of(worker, request("a", prompt="EXPLODE"))
    with pytest.raises(MemoryError):
        await worker.submit(request("b"))

    assert await text_of(worker, request("c")) == fake_text(5)
    await worker.close()


async def test_closing_a_stream_ends_its_request_within_a_step_and_twice_is_harmless(
    kit: FakeKit, worker: Worker[FakePrepared]
) -> None:
    stream = await worker.submit(request(tokens=500))
    await stream.read()
    kit.engine.may_step.clear()
    await asyncio.sleep(0.01)
    steps = kit.engine.num_steps

    stream.close()
    stream.close()
    worker.cancel("r")
    worker.cancel("unknown")
    await asyncio.sleep(0.01)
    kit.engine.may_step.set()
    while worker.num_open:
        await asyncio.sleep(0.001)

    assert not kit.engine.running
    assert kit.engine.num_steps <= steps + 2


async def test_a_cancelled_stream_that_is_read_on_says_so(worker: Worker[FakePrepared]) -> None:
    stream = await worker.submit(request(tokens=500))
    worker.cancel("r")

    outputs = [output async for output in stream]

    (finished,) = [o for o in outputs if isinstance(o, SequenceFinished)]
    assert finished.finish_reason is FinishReason.CANCELLED


async def test_a_submission_given_up_while_it_waits_leaves_nothing_behind(
    kit: FakeKit, worker: Worker[FakePrepared]
) -> None:
    first = await worker.submit(request("first", tokens=500))
    kit.engine.may_step.clear()
    given_up = asyncio.create_task(worker.submit(request("given up", tokens=500)))
    await asyncio.sleep(0.05)

    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    first.close()
    kit.engine.may_step.set()

    while kit.engine.running or worker.num_open:
        await asyncio.sleep(0.001)


async def test_closing_tells_what_is_open_and_refuses_what_comes(
    kit: FakeKit, worker: Worker[FakePrepared]
) -> None:
    stream = await worker.submit(request(tokens=500))
    thread = next(t for t in threading.enumerate() if t.name == "engine-test")

    await worker.close()
    await worker.close()

    with pytest.raises(ShuttingDown):
        [output async for output in stream]
    with pytest.raises(ShuttingDown):
        await worker.submit(request("late"))
    thread.join(timeout=30)
    assert not thread.is_alive()


async def test_an_engine_that_stands_still_with_work_is_stuck_and_an_idle_one_is_not(
    kit: FakeKit, worker: Worker[FakePrepared]
) -> None:
    await asyncio.sleep(0.05)
    assert not worker.is_stuck(after_seconds=0.01)
    stream = await worker.submit(request(tokens=500))
    kit.engine.may_step.clear()
    await asyncio.sleep(0.05)

    assert worker.is_stuck(after_seconds=0.01)
    assert not worker.is_stuck(after_seconds=60)
    kit.engine.may_step.set()
    stream.close()


def test_outputs_are_posted_once_per_step_not_per_token() -> None:
    """Eight sequences a step would be eight wake-ups of the event loop otherwise."""
    kit = FakeKit()
    posts: list[list[EngineOutput]] = []
    thread = EngineThread(kit, posts.append, name="test")
    thread.start()
    asked = GenerationRequest(
        request_id="r", prompt="x", model="m", max_new_tokens=50, num_sequences=8
    )
    thread.call(lambda: thread.add("r", kit.prepare(asked)))
    while not (posts and isinstance(posts[-1][-1], RequestFinished)):
        time.sleep(0.001)
    thread.call(thread.stop)
    thread.join(10)

    assert len(posts) == kit.engine.num_steps == 50
    assert sum(isinstance(o, SequenceFinished) for post in posts for o in post) == 8


async def test_the_event_loop_goes_on_while_a_step_is_at_work(
    kit: FakeKit, worker: Worker[FakePrepared]
) -> None:
    stream = await worker.submit(request(tokens=500))
    kit.engine.may_step.clear()
    await asyncio.sleep(0.05)
    steps = kit.engine.num_steps

    for _ in range(100):
        await asyncio.sleep(0)

    assert kit.engine.num_steps == steps
    assert not kit.engine.may_step.is_set()
    kit.engine.may_step.set()
    stream.close()
