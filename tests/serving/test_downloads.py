"""Downloads: one for all who ask, stopped when nobody does, and told how it ended."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from penstock.errors import ModelGated, ModelUnavailable, ShuttingDown
from penstock.model.hub_progress import DownloadProgress, Progress
from penstock.serving.downloads import Downloads, Following
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.models import ModelState
from tests.fakes import FakeModels


@pytest.fixture
async def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
async def lifecycle(models: FakeModels) -> AsyncIterator[Lifecycle]:
    lifecycle = Lifecycle(models)
    yield lifecycle
    models.may_fetch.set()
    await lifecycle.close()


async def all_of(following: Following) -> list[DownloadProgress]:
    """Every progress until the end. Leaves."""
    seen = []
    try:
        while (progress := await following.next()) is not None:
            seen.append(progress)
    finally:
        following.close()
    return seen


async def until_stopped(models: FakeModels) -> None:
    async with asyncio.timeout(10):
        while not models.num_stopped:
            await asyncio.sleep(0.01)


async def test_a_download_ends_with_all_bytes_and_the_model_can_be_loaded(
    lifecycle: Lifecycle,
) -> None:
    seen = await all_of(lifecycle.pull("somebody/elsewhere"))

    assert (seen[-1].num_bytes, seen[-1].total_bytes) == (1000, 1000)
    assert lifecycle.state("elsewhere") is ModelState.AVAILABLE
    assert (await lifecycle.running("elsewhere")).model.id == "elsewhere"


async def test_while_it_runs_the_state_says_how_far_it_is(
    models: FakeModels, lifecycle: Lifecycle
) -> None:
    models.may_fetch.clear()
    following = lifecycle.pull("elsewhere")
    first = await following.next()

    status = lifecycle.status("elsewhere")

    assert first is not None and status.download is not None
    assert status.state is ModelState.DOWNLOADING
    assert status.download.total_bytes == 1000
    assert first.seconds_left == (1000 - first.num_bytes) / 50
    following.close()


async def test_it_goes_on_for_one_follower_and_stops_for_none(
    models: FakeModels, lifecycle: Lifecycle
) -> None:
    models.may_fetch.clear()
    one, other = lifecycle.pull("elsewhere"), lifecycle.pull("elsewhere")
    assert await one.next() == await other.next()

    one.close()
    one.close()
    assert lifecycle.state("elsewhere") is ModelState.DOWNLOADING
    other.close()

    assert lifecycle.state("elsewhere") is ModelState.AVAILABLE
    await until_stopped(models)
    assert models.fetched == set()


async def test_who_comes_later_hears_at_once_how_far_it_is(
    models: FakeModels, lifecycle: Lifecycle
) -> None:
    models.may_fetch.clear()
    one = lifecycle.pull("elsewhere")
    await one.next()
    late = lifecycle.pull("elsewhere")

    progress = await late.next()
    models.may_fetch.set()
    seen = await asyncio.gather(all_of(one), all_of(late))

    assert progress is not None
    assert [part[-1].num_bytes for part in seen] == [1000, 1000]


async def test_a_failure_is_told_to_who_follows_and_shown_in_the_state(
    lifecycle: Lifecycle,
) -> None:
    for _ in range(2):  # asking again tries again
        with pytest.raises(ModelGated, match="Accept its terms"):
            await all_of(lifecycle.pull("gated"))

        status = lifecycle.status("gated")
        assert status.state is ModelState.FAILED
        assert status.error == "somebody/gated is gated. Accept its terms."


async def test_a_failure_nobody_foresaw_is_told_in_our_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fetch(model_id: str, progress: Progress) -> None:
        raise ZeroDivisionError("in the hub")

    with pytest.raises(ModelUnavailable, match="m could not be fetched: in the hub"):
        await all_of(Downloads(fetch).follow("m"))

    assert "ZeroDivisionError" in caplog.text


async def test_closing_stops_what_runs_and_tells_who_follows(
    models: FakeModels, lifecycle: Lifecycle
) -> None:
    models.may_fetch.clear()
    following = lifecycle.pull("elsewhere")
    await following.next()

    await lifecycle.close()

    await until_stopped(models)
    with pytest.raises(ShuttingDown):
        await all_of(following)
