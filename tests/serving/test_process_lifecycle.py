"""Models in processes: one that dies comes back and disturbs nobody; memory comes back too."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock.errors import (
    EngineFailed,
    ModelBusy,
    ModelUnavailable,
    NotEnoughMemory,
    ServerBusy,
)
from penstock.serving.launching import ProcessLauncher, RunningModel
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.memory import memory_of_process
from penstock.serving.models import ModelState
from penstock.serving.process_worker import ProcessWorker
from penstock.serving.streams import OutputStream
from penstock.serving.upkeep import Rules
from penstock.types import GenerationRequest, SequenceFinished
from tests.fakes import fake_text
from tests.serving.fake_worker import BIG_BYTES, FakePlans, spawn_fake
from tests.serving.measured import own_memory

GENEROUS = 10**15


def request(name: str, tokens: int) -> GenerationRequest:
    return GenerationRequest(request_id=name, prompt="Once", model="m", max_new_tokens=tokens)


def lifecycle_of(plans: FakePlans, rules: Rules | None = None, free: int = GENEROUS) -> Lifecycle:
    launcher = ProcessLauncher(plans, spawn=spawn_fake)
    return Lifecycle(plans, launcher, rules=rules or Rules(), free=lambda: free)


@pytest.fixture
async def plans() -> FakePlans:
    return FakePlans()


@pytest.fixture
async def lifecycle(plans: FakePlans) -> AsyncIterator[Lifecycle]:
    lifecycle = lifecycle_of(plans)
    yield lifecycle
    await lifecycle.close()


async def text_of(running: RunningModel, asked: GenerationRequest) -> str:
    stream = await running.client.submit(asked)
    try:
        return "".join([o.text async for o in stream if isinstance(o, SequenceFinished)])
    finally:
        stream.close()


def process_of(running: RunningModel) -> int:
    assert isinstance(running.client, ProcessWorker)
    return running.client.process_id


async def until(lifecycle: Lifecycle, name: str, state: ModelState, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while lifecycle.state(name) is not state:
            await asyncio.sleep(0.01)


async def test_a_model_that_is_killed_comes_back_and_the_other_notices_nothing(
    lifecycle: Lifecycle,
) -> None:
    victim, other = await asyncio.gather(*map(lifecycle.running, ("penstock-tiny", "other")))
    undisturbed = asyncio.create_task(text_of(other, request("other", 60)))
    hit = [asyncio.create_task(text_of(victim, request(f"r{n}", 500))) for n in range(3)]
    await asyncio.sleep(0.1)

    started = time.monotonic()
    os.kill(process_of(victim), signal.SIGKILL)
    results = await asyncio.gather(*hit, return_exceptions=True)
    told = time.monotonic() - started
    again = await lifecycle.running("penstock-tiny")
    text = await text_of(again, request("again", 5))

    assert [type(result) for result in results] == [EngineFailed] * 3
    assert told < 2
    assert text == fake_text(5)
    assert time.monotonic() - started < 10
    assert await undisturbed == fake_text(60)
    assert process_of(again) != process_of(victim)


async def test_a_model_that_is_killed_round_after_round_always_comes_back(
    lifecycle: Lifecycle,
) -> None:
    other = await lifecycle.running("penstock-tiny")
    for number in range(3):  # the pauses before a restart grow: 0.5, 1 and 2 seconds
        victim = await lifecycle.running("other")
        undisturbed = asyncio.create_task(text_of(other, request(f"other{number}", 30)))
        hit = asyncio.create_task(text_of(victim, request(f"r{number}", 500)))
        await asyncio.sleep(0.05)

        started = time.monotonic()
        os.kill(process_of(victim), signal.SIGKILL)
        with pytest.raises(EngineFailed):
            await hit
        told = time.monotonic() - started
        text = await text_of(await lifecycle.running("other"), request(f"again{number}", 3))

        assert told < 2
        assert text == fake_text(3)
        assert time.monotonic() - started < 10
        assert await undisturbed == fake_text(30)


async def test_who_comes_while_a_model_restarts_waits_for_it(lifecycle: Lifecycle) -> None:
    running = await lifecycle.running("other")

    os.kill(process_of(running), signal.SIGKILL)
    await until(lifecycle, "other", ModelState.LOADING)
    texts = await asyncio.gather(*(_ask(lifecycle, n) for n in range(3)))

    assert texts == [fake_text(4)] * 3
    assert lifecycle.loaded == ("other",)


async def _ask(lifecycle: Lifecycle, number: int) -> str:
    return await text_of(await lifecycle.running("other"), request(f"r{number}", 4))


async def test_an_engine_that_hangs_is_ended_and_started_again(plans: FakePlans) -> None:
    lifecycle = lifecycle_of(plans, Rules(hang_seconds=0.5))
    running = await lifecycle.running("other")
    stream = await running.client.submit(request("r", 500))
    os.kill(process_of(running), signal.SIGSTOP)

    with pytest.raises(EngineFailed):
        [output async for output in stream]

    assert process_of(await lifecycle.running("other")) != process_of(running)
    await lifecycle.close()


async def test_unloading_gives_the_memory_back_and_the_next_request_loads_again(
    lifecycle: Lifecycle, plans: FakePlans
) -> None:
    plans.add("big")
    running = await lifecycle.running("big")
    held = running.client.memory_bytes
    process_id = process_of(running)

    await lifecycle.unload("big")
    state = lifecycle.state("big")

    assert held > BIG_BYTES
    assert memory_of_process(process_id) == 0
    assert state is ModelState.AVAILABLE
    assert await text_of(await lifecycle.running("big"), request("r", 3)) == fake_text(3)


async def test_thirty_rounds_of_loading_and_unloading_leave_no_memory_and_no_process_behind(
    plans: FakePlans,
) -> None:
    plans.add("big")
    lifecycle = lifecycle_of(plans)
    await _round_trip(lifecycle)  # what is only ever allocated once is not a leak
    before = own_memory()
    processes = [await _round_trip(lifecycle) for _ in range(30)]
    after = own_memory() + sum(map(memory_of_process, processes))

    assert after < before * 1.05
    assert [number for number in processes if Path(f"/proc/{number}").exists()] == []
    await lifecycle.close()


async def _round_trip(lifecycle: Lifecycle) -> int:
    running = await lifecycle.running("big")
    assert await text_of(running, request("r", 1)) == fake_text(1)
    assert running.client.memory_bytes > BIG_BYTES
    await lifecycle.unload("big")
    return process_of(running)


async def test_a_model_that_is_unloading_says_so_and_loads_again_only_afterwards(
    lifecycle: Lifecycle,
) -> None:
    running = await lifecycle.running("other")
    os.kill(process_of(running), signal.SIGSTOP)  # it takes its time to go
    unloading = asyncio.create_task(lifecycle.unload("other"))
    await asyncio.sleep(0.01)
    assert lifecycle.state("other") is ModelState.UNLOADING

    again = asyncio.create_task(lifecycle.running("other"))
    await asyncio.sleep(0.1)
    assert Path(f"/proc/{process_of(running)}").exists()
    assert lifecycle.state("other") is ModelState.LOADING
    os.kill(process_of(running), signal.SIGCONT)
    await unloading

    assert await text_of(await again, request("r", 2)) == fake_text(2)
    assert not Path(f"/proc/{process_of(running)}").exists()


async def test_who_gives_up_waiting_for_an_unload_does_not_stop_it(lifecycle: Lifecycle) -> None:
    running = await lifecycle.running("other")
    unloading = asyncio.create_task(lifecycle.unload("other"))
    await asyncio.sleep(0)

    unloading.cancel()
    await until(lifecycle, "other", ModelState.AVAILABLE)

    assert memory_of_process(process_of(running)) == 0


async def test_unloading_is_refused_while_requests_are_under_way(lifecycle: Lifecycle) -> None:
    running = await lifecycle.running("other")
    stream = await running.client.submit(request("r", 500))

    with pytest.raises(ModelBusy, match="other has 1 request under way"):
        lifecycle.refuse_busy("second")

    stream.close()
    async with asyncio.timeout(10):
        while running.client.num_open:
            await asyncio.sleep(0.01)
    lifecycle.refuse_busy("other")


async def test_a_loaded_model_is_not_removed(lifecycle: Lifecycle) -> None:
    await lifecycle.running("other")

    with pytest.raises(ModelBusy, match=r"other is loaded\. Unload it first"):
        await lifecycle.remove("other")


async def test_a_request_says_how_long_its_model_stays(plans: FakePlans) -> None:
    lifecycle = lifecycle_of(plans, Rules(keep_alive_seconds=0.1))
    await lifecycle.running("penstock-tiny", keep_alive_seconds=3600)
    await lifecycle.running("other")
    await until(lifecycle, "other", ModelState.AVAILABLE)
    assert lifecycle.loaded == ("penstock-tiny",)

    await lifecycle.running("penstock-tiny", keep_alive_seconds=0)
    await until(lifecycle, "penstock-tiny", ModelState.AVAILABLE)
    await lifecycle.close()


async def test_a_model_from_the_start_that_was_unloaded_is_like_any_other(
    plans: FakePlans,
) -> None:
    lifecycle = lifecycle_of(plans, Rules(keep_alive_seconds=0.1))
    lifecycle.preload(["other"])
    await lifecycle.running("other")
    await lifecycle.unload("other")

    assert lifecycle.preloaded == frozenset()
    await lifecycle.running("other")
    await until(lifecycle, "other", ModelState.AVAILABLE)
    await lifecycle.close()


async def test_unloading_stops_a_load_and_tells_who_waits_for_it(lifecycle: Lifecycle) -> None:
    waiting = asyncio.create_task(lifecycle.running("other"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await lifecycle.unload("other")

    with pytest.raises(ModelUnavailable, match="The loading of other was stopped"):
        await waiting
    assert lifecycle.state("other") is ModelState.AVAILABLE


async def test_a_model_nobody_uses_goes_and_one_from_the_start_stays(plans: FakePlans) -> None:
    lifecycle = lifecycle_of(plans, Rules(keep_alive_seconds=0.2))
    lifecycle.preload(["penstock-tiny"])
    running = await lifecycle.running("other")
    text = await text_of(running, request("r", 200))  # two seconds: longer than it may be unused

    await until(lifecycle, "other", ModelState.AVAILABLE)

    assert text == fake_text(200)
    assert lifecycle.loaded == ("penstock-tiny",)
    await lifecycle.close()


async def test_the_least_recently_used_makes_room_within_the_budget(plans: FakePlans) -> None:
    budget = 10**9
    for name in ("first", "second", "third"):
        plans.add(name)
        plans.needed[name] = 1
    lifecycle = lifecycle_of(plans, Rules(memory_bytes=budget))
    running = [await lifecycle.running(name) for name in ("first", "second", "first")]
    one, other = (r.client.memory_bytes for r in running[:2])
    plans.needed["third"] = budget - one - other // 2

    await lifecycle.running("third")

    assert lifecycle.loaded == ("first", "third")
    await lifecycle.close()


async def test_a_model_that_does_not_fit_is_refused_before_a_process_is_started(
    plans: FakePlans,
) -> None:
    spawned: list[int] = []

    def spawn() -> None:
        spawned.append(1)

    plans.needed["other"] = 4_400_000_000
    lifecycle = Lifecycle(
        plans,
        ProcessLauncher(plans, spawn=spawn),  # type: ignore[arg-type]
        free=lambda: 3_100_000_000,
    )

    with pytest.raises(NotEnoughMemory, match=r"other needs 4.4 GB of memory; 3.1 GB are free"):
        await lifecycle.running("other")

    assert issubclass(NotEnoughMemory, ServerBusy)  # so a client may come again
    assert spawned == []
    assert lifecycle.state("other") is ModelState.FAILED
    await lifecycle.close()


async def test_a_busy_model_never_makes_room(plans: FakePlans) -> None:
    lifecycle = lifecycle_of(plans, free=1000)
    running = await lifecycle.running("other")
    plans.needed["penstock-tiny"] = 1001
    stream = await running.client.submit(request("r", 500))

    with pytest.raises(NotEnoughMemory):
        await lifecycle.running("penstock-tiny")

    assert lifecycle.loaded == ("other",)
    stream.close()
    await lifecycle.close()


async def test_a_request_that_comes_while_memory_is_measured_keeps_its_model(
    plans: FakePlans,
) -> None:
    """The first look finds the model idle; the request comes before anything is unloaded."""
    for name in ("first", "middle", "third"):
        plans.add(name)
    launcher = ProcessLauncher(plans, spawn=spawn_fake)
    lifecycle = Lifecycle(
        plans, launcher, free=lambda: 1000 if "middle" in lifecycle.loaded else GENEROUS
    )
    first = await lifecycle.running("first")
    middle = await lifecycle.running("middle")
    streams: list[OutputStream] = []
    measure = type(middle.client).memory_bytes
    loop = asyncio.get_running_loop()

    def measure_while_a_request_comes(worker: ProcessWorker) -> int:
        if worker is first.client and not streams:
            asked = first.client.submit(request("r", 500))
            streams.append(asyncio.run_coroutine_threadsafe(asked, loop).result(10))
        return measure.fget(worker)  # type: ignore[attr-defined,no-any-return]

    plans.needed["third"] = 1001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessWorker, "memory_bytes", property(measure_while_a_request_comes))
        await lifecycle.running("third")

    assert lifecycle.loaded == ("first", "third")
    streams[0].close()
    await lifecycle.close()


async def test_the_process_made_ready_beforehand_is_used_first_and_never_left(
    plans: FakePlans,
) -> None:
    ready, unused = spawn_fake(), spawn_fake()
    lifecycle = Lifecycle(plans, ProcessLauncher(plans, ready=ready, spawn=spawn_fake))
    running = await lifecycle.running("other")
    idle = Lifecycle(plans, ProcessLauncher(plans, ready=unused))

    await idle.close()

    assert process_of(running) == ready.process.pid
    assert unused.process.returncode is not None  # killed, or gone as its connection was
    await lifecycle.close()
    assert ready.process.returncode is not None
