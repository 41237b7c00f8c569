"""Loading: once for many who ask, one at a time, and a failure is told to each of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from penstock.errors import (
    ModelNotFound,
    ModelUnavailable,
    PromptTooLong,
    ServerBusy,
    UnsupportedModel,
)
from penstock.serving.admission import Admission
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.models import HostedModel, ModelState, ServedModel
from penstock.serving.router import Router
from penstock.types import GenerationRequest
from tests.fakes import FakeEngine, FakeModels


@pytest.fixture
async def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
async def lifecycle(models: FakeModels) -> AsyncIterator[Lifecycle]:
    lifecycle = Lifecycle(models)
    yield lifecycle
    models.may_load.set()
    await lifecycle.close()


def build(model: ServedModel) -> GenerationRequest:
    return GenerationRequest(request_id="r", prompt="Once", model=model.id, max_new_tokens=3)


async def test_many_who_ask_at_once_share_one_load(
    models: FakeModels, lifecycle: Lifecycle
) -> None:
    models.may_load.clear()
    asking = [asyncio.create_task(lifecycle.running(name)) for name in ("other", "second") * 5]
    await asyncio.sleep(0.01)
    assert lifecycle.state("second") is ModelState.LOADING
    models.may_load.set()

    running = await asyncio.gather(*asking)

    assert all(r is running[0] for r in running)
    assert len(models.kits["other"].engines) == 1
    assert lifecycle.loaded == ("other",)


async def test_who_gives_up_waiting_does_not_stop_the_load(
    models: FakeModels, lifecycle: Lifecycle
) -> None:
    models.may_load.clear()
    asking = asyncio.create_task(lifecycle.running("other"))
    await asyncio.sleep(0.01)

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    models.may_load.set()

    assert (await lifecycle.running("other")).model.id == "other"
    assert len(models.kits["other"].engines) == 1


async def test_a_failed_load_is_told_and_tried_again(lifecycle: Lifecycle) -> None:
    for _ in range(2):
        with pytest.raises(UnsupportedModel, match="pickle"):
            await lifecycle.running("broken")
        assert lifecycle.state("broken") is ModelState.FAILED


async def test_a_failure_nobody_foresaw_is_told_in_our_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Surprising(FakeModels):
        def load(self, model_id: str) -> HostedModel:
            raise ZeroDivisionError("in the loader")

    lifecycle = Lifecycle(Surprising())

    with pytest.raises(ModelUnavailable, match="other could not be loaded: in the loader"):
        await lifecycle.running("other")

    assert "ZeroDivisionError" in caplog.text


async def test_an_engine_that_cannot_be_made_is_a_failed_load() -> None:
    def make() -> FakeEngine:
        raise MemoryError("no room for the cache")

    lifecycle = Lifecycle(FakeModels(make))

    with pytest.raises(ModelUnavailable, match="no room for the cache"):
        await lifecycle.running("other")

    assert lifecycle.state("other") is ModelState.FAILED


async def test_a_preload_that_fails_leaves_the_others(lifecycle: Lifecycle) -> None:
    lifecycle.preload(["broken", "other"])

    await lifecycle.running("other")

    states = {status.card.id: status.state for status in lifecycle.statuses()}
    assert states["broken"] is ModelState.FAILED
    assert states["other"] is ModelState.LOADED


async def test_unknown_and_absent_models_are_refused_without_a_load(lifecycle: Lifecycle) -> None:
    with pytest.raises(ModelNotFound):
        await lifecycle.running("nope")
    with pytest.raises(ModelUnavailable, match="penstock models pull elsewhere"):
        await lifecycle.running("somebody/elsewhere")

    assert lifecycle.loaded == ()


async def test_every_refusal_of_the_router_gives_the_place_back(lifecycle: Lifecycle) -> None:
    admission = Admission(max_in_flight=2)
    router = Router(lifecycle, admission)

    def long(model: ServedModel) -> GenerationRequest:
        return GenerationRequest(request_id="r", prompt="x " * 600, model=model.id)

    for name, make, error in [
        ("nope", build, ModelNotFound),
        ("broken", build, UnsupportedModel),
        ("other", long, PromptTooLong),
    ]:
        with pytest.raises(error):
            await router.submit(name, 2, make)
        assert admission.num_in_flight == 0


async def test_the_place_is_held_until_the_outputs_are_closed(lifecycle: Lifecycle) -> None:
    admission = Admission(max_in_flight=3)
    router = Router(lifecycle, admission)
    generation = await router.submit("other", 2, build)
    [output async for output in generation.outputs]
    assert admission.num_in_flight == 2

    with pytest.raises(ServerBusy):
        await router.submit("other", 2, build)
    generation.outputs.close()

    assert admission.num_in_flight == 0


async def test_draining_waits_for_what_runs_and_says_whether_it_finished(
    lifecycle: Lifecycle,
) -> None:
    router = Router(lifecycle, Admission(max_in_flight=3))
    generation = await router.submit("other", 1, build)

    assert await router.drain(timeout_seconds=0.05) is False
    asyncio.get_running_loop().call_later(0.02, generation.outputs.close)
    assert await router.drain(timeout_seconds=5) is True
