"""A worker process: what a thread does, and that neither end outlives or hurts the other."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock.errors import (
    EngineFailed,
    ModelUnavailable,
    PromptTooLong,
    ShuttingDown,
    UnsupportedModel,
)
from penstock.serving.process_worker import ProcessWorker
from penstock.types import (
    EngineOutput,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
)
from tests.fakes import fake_served, fake_text
from tests.serving.fake_worker import fake_plan, spawn_fake


def request(name: str = "r", prompt: str = "Once upon", tokens: int = 5) -> GenerationRequest:
    return GenerationRequest(
        request_id=name, prompt=prompt, model="penstock-tiny", max_new_tokens=tokens
    )


class Deaths:
    """Counts the calls of `on_death`."""

    num = 0

    def __call__(self) -> None:
        self.num += 1


@pytest.fixture
def deaths() -> Deaths:
    return Deaths()


@pytest.fixture
async def worker(deaths: Deaths) -> AsyncIterator[ProcessWorker]:
    worker = ProcessWorker(spawn_fake(), name="fake", on_death=deaths)
    assert await worker.load(fake_plan("fake")) == fake_served("fake")
    yield worker
    await worker.close()


async def outputs_of(worker: ProcessWorker, asked: GenerationRequest) -> list[EngineOutput]:
    stream = await worker.submit(asked)
    try:
        return [output async for output in stream]
    finally:
        stream.close()


async def text_of(worker: ProcessWorker, asked: GenerationRequest) -> str:
    (finished,) = [o for o in await outputs_of(worker, asked) if isinstance(o, SequenceFinished)]
    return finished.text


def is_alive(process_id: int) -> bool:
    """Whether there is such a process, dead and not taken leave of included."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, 0)
        return True
    return False


async def until_gone(process_id: int, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while is_alive(process_id):
        assert time.monotonic() < deadline, f"{process_id} still runs"
        await asyncio.sleep(0.01)


async def test_what_a_thread_does_a_process_does(
    worker: ProcessWorker, deaths: Deaths, caplog: pytest.LogCaptureFixture
) -> None:
    outputs = await outputs_of(worker, request(tokens=3))
    texts = await asyncio.gather(
        *(text_of(worker, request(f"r{n}", tokens=n)) for n in range(1, 30))
    )
    with pytest.raises(PromptTooLong) as refused:
        await worker.submit(request(tokens=10_000))
    poison = await worker.submit(request("poison", prompt="EXPLODE"))
    with pytest.raises(EngineFailed):
        [output async for output in poison]

    assert isinstance(outputs[0], RequestStarted)
    assert isinstance(outputs[-2], SequenceFinished)
    assert isinstance(outputs[-1], RequestFinished)
    assert outputs[-2].text == fake_text(3)
    assert list(texts) == [fake_text(n) for n in range(1, 30)]
    assert refused.value.param == "prompt"
    assert await text_of(worker, request("after")) == fake_text(5)
    assert "the fake engine was asked to explode" in caplog.text  # the worker's log is ours
    assert (worker.num_open, deaths.num) == (0, 0)


async def test_closing_a_stream_ends_its_request_and_one_read_on_says_so(
    worker: ProcessWorker,
) -> None:
    stream = await worker.submit(request("read on", tokens=500))
    worker.cancel("read on")
    closed = await worker.submit(request("closed", tokens=500))
    closed.close()

    outputs = [output async for output in stream]

    (finished,) = [o for o in outputs if isinstance(o, SequenceFinished)]
    assert finished.finish_reason is FinishReason.CANCELLED
    while worker.num_open:
        await asyncio.sleep(0.001)


async def test_a_submission_given_up_while_it_waits_leaves_nothing_behind(
    worker: ProcessWorker,
) -> None:
    asking = [asyncio.create_task(worker.submit(request(f"r{n}", tokens=500))) for n in range(20)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)

    async with asyncio.timeout(10):
        while worker.num_open:
            await asyncio.sleep(0.001)
    assert await text_of(worker, request("after")) == fake_text(5)


async def test_a_killed_worker_tells_every_request_at_once(
    worker: ProcessWorker, deaths: Deaths, caplog: pytest.LogCaptureFixture
) -> None:
    streams = [await worker.submit(request(f"r{n}", tokens=500)) for n in range(3)]
    started = time.monotonic()

    os.kill(worker.process_id, signal.SIGKILL)
    for stream in streams:
        with pytest.raises(EngineFailed, match="ended unexpectedly"):
            [output async for output in stream]

    assert time.monotonic() - started < 2
    with pytest.raises(EngineFailed):
        await worker.submit(request("late"))
    await until_gone(worker.process_id)
    assert (worker.num_open, deaths.num) == (0, 1)


async def test_closing_tells_what_is_open_and_leaves_no_process(
    worker: ProcessWorker, deaths: Deaths
) -> None:
    stream = await worker.submit(request(tokens=500))

    await worker.close()
    await worker.close()

    with pytest.raises(ShuttingDown):
        [output async for output in stream]
    with pytest.raises(ShuttingDown):
        await worker.submit(request("late"))
    assert not is_alive(worker.process_id)
    assert deaths.num == 0


async def test_the_signals_of_a_terminal_and_a_service_manager_do_not_reach_a_text(
    worker: ProcessWorker,
) -> None:
    text = asyncio.create_task(text_of(worker, request(tokens=40)))
    await asyncio.sleep(0.05)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(worker.process_id, number)

    assert await text == fake_text(40)
    assert os.getsid(worker.process_id) != os.getsid(0)


async def test_a_worker_that_stands_still_is_stuck_and_an_idle_one_is_not(
    worker: ProcessWorker,
) -> None:
    assert not worker.is_stuck(after_seconds=0)
    stream = await worker.submit(request(tokens=500))
    os.kill(worker.process_id, signal.SIGSTOP)
    await asyncio.sleep(0.3)

    assert worker.is_stuck(after_seconds=0.1)
    assert not worker.is_stuck(after_seconds=60)
    worker.kill()
    with pytest.raises(EngineFailed):
        [output async for output in stream]


@pytest.mark.parametrize(
    ("model_id", "kind", "words"),
    [
        ("broken", UnsupportedModel, "The weights are a pickle. Convert them."),
        ("surprising", RuntimeError, "in the loader"),
        ("dies", ModelUnavailable, "ended while it loaded the model .exit status 3."),
    ],
)
async def test_what_loading_raises_is_raised_here_and_the_process_is_gone(
    model_id: str, kind: type[Exception], words: str, deaths: Deaths
) -> None:
    worker = ProcessWorker(spawn_fake(), name=model_id, on_death=deaths)

    with pytest.raises(kind, match=words):
        await worker.load(fake_plan(model_id))

    assert not is_alive(worker.process_id)
    assert deaths.num == 0


async def test_giving_a_load_up_ends_its_process(deaths: Deaths) -> None:
    worker = ProcessWorker(spawn_fake(), name="fake", on_death=deaths)
    loading = asyncio.create_task(worker.load(fake_plan("fake")))
    await asyncio.sleep(0)
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)

    assert loading.cancelled()
    await until_gone(worker.process_id)


PARENT = """
import os, sys, time
from tests.serving.fake_worker import spawn_fake
child = spawn_fake()
print(child.process.pid, flush=True)
time.sleep(60)
"""


async def test_a_killed_server_leaves_no_worker() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    worker_id = int(parent.stdout.readline())
    assert is_alive(worker_id)

    parent.kill()
    parent.wait()
    parent.stdout.close()

    deadline = time.monotonic() + 10
    while _state(worker_id) not in ("", "Z"):  # an orphan is taken leave of by init, if at all
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _state(process_id: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _children() -> set[str]:
    """The processes that this one has started and not taken leave of."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.add(stat.parent.name)
    return found


async def test_workers_that_come_and_go_leave_nothing_open(deaths: Deaths) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def round_trip(*, kill: bool) -> None:
        worker = ProcessWorker(spawn_fake(), name="fake", on_death=deaths)
        await worker.load(fake_plan("fake"))
        if kill:
            os.kill(worker.process_id, signal.SIGKILL)
            await until_gone(worker.process_id)
        await worker.close()

    await round_trip(kill=True)
    before, children = open_files(), _children()
    for number in range(6):
        await round_trip(kill=number % 2 == 0)

    assert open_files() == before
    assert deaths.num == 4
    assert _children() == children


async def test_events_of_the_worker_keep_their_name_and_level(
    worker: ProcessWorker, caplog: pytest.LogCaptureFixture
) -> None:
    stream = await worker.submit(request(prompt="EXPLODE"))
    with pytest.raises(EngineFailed):
        [output async for output in stream]

    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.name == "penstock.serving.engine_thread"
    assert record.message.startswith("A step failed; every request in it is told so.\nTraceback")
    assert "ArithmeticError" in record.message
