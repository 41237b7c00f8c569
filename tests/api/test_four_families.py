"""One server, four models of different families in processes of their own, and a mixed crowd."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.serving.launching import ProcessLauncher
from penstock.serving.local_models import LocalModels
from penstock.serving.models import LoadingOptions, ModelState
from penstock.serving.process_worker import ProcessWorker
from penstock.settings import Settings
from tests.api.conftest import Live, listening
from tests.model.small_families import MAKERS, write_families

NUM_ROUNDS = int(os.environ.get("PENSTOCK_STRESS_ROUNDS", "2"))  # `make stress` has twenty
TOLD_SECONDS, BACK_SECONDS = 2.0, 10.0
QUIET_LOAD_SECONDS = 3.0  # for one of these models and its process; longer where others compute
PROMPTS = ("Once upon a time", "It wasn't far", "the end of the road", "\u65e5\u672c\u8a9e")
STRATEGIES: Sequence[dict[str, Any]] = (
    {"strategy": "greedy"},
    {"strategy": "sampling", "temperature": 1.3, "seed": 1},
    {"strategy": "top_k", "top_k": 9, "seed": 2, "repetition_penalty": 1.2},
    {"strategy": "beam_search", "num_beams": 3},
    {"strategy": "beam_sampling", "num_beams": 2, "seed": 3},
    {"strategy": "diverse_beam_search", "num_beams": 4, "num_beam_groups": 2},
    {"strategy": "best_of_n", "num_candidates": 3, "seed": 4},
    {"strategy": "prompt_lookup", "seed": 5},
)
CROWD = [
    {"model": model, "prompt": PROMPTS[number % 4], "max_new_tokens": 40}
    | strategy
    | ({"adapter": f"for-{model}"} if number % 3 == 0 else {})  # in one batch with those without
    for model in MAKERS
    for number, strategy in enumerate(STRATEGIES)
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Live]:
    names = [str(folder) for folder in write_families(tmp_path)]
    source = LocalModels(names, LoadingOptions(num_threads=1, data_dir=tmp_path))
    settings = Settings(
        model=names[0], models=tuple(names[1:]), threads=1, data_dir=tmp_path, cache_mib=0
    )
    async with listening(source, settings, launcher=ProcessLauncher(source)) as live:
        yield live
        await live.services.lifecycle.close()


async def ask(server: Live, body: dict[str, Any]) -> tuple[int, Any]:
    """The status, and the texts or what else was answered."""
    answer = await server.http.post("/generate", json=body, headers={"Connection": "close"})
    content = answer.json()
    return answer.status_code, [
        s["text"] for s in content["sequences"]
    ] if answer.is_success else content


async def kill(server: Live, model: str) -> None:
    """As the system does it that has run out of memory."""
    running = await server.services.lifecycle.running(model)
    assert isinstance(running.client, ProcessWorker)
    os.kill(running.client.process_id, signal.SIGKILL)


async def test_a_mixed_crowd_gets_what_each_gets_alone_though_one_model_is_killed(
    server: Live,
) -> None:
    alone = [await ask(server, body) for body in CROWD]
    assert [status for status, _ in alone] == [200] * len(CROWD)
    assert len({str(texts) for _, texts in alone}) > len(CROWD) // 2  # they are not all alike
    assert await models_changed_by_adapters(server, alone) == set(MAKERS)

    crowd = await asyncio.gather(*(ask(server, body) for body in CROWD))
    assert crowd == alone

    patience = max(1.0, await load_seconds(server, "small-t5") / QUIET_LOAD_SECONDS)
    await one_round(server, "small-t5", alone, patience)
    await until(lambda: server.services.admission.num_in_flight == 0)
    before = num_open_files()
    for number in range(NUM_ROUNDS):
        victim = list(MAKERS)[number % len(MAKERS)]
        await one_round(server, victim, alone, patience)
    await until(lambda: num_open_files() <= before)


async def models_changed_by_adapters(server: Live, alone: Sequence[tuple[int, Any]]) -> set[str]:
    """The models that write something else where the adapter is left out."""
    adapted = [(body, had) for body, had in zip(CROWD, alone, strict=True) if "adapter" in body]
    return {
        body["model"]
        for body, had in adapted
        if await ask(server, {k: v for k, v in body.items() if k != "adapter"}) != had
    }


async def load_seconds(server: Live, model: str) -> float:
    """How long the machine takes now, with whatever else it does, to start one worker."""
    await server.services.lifecycle.unload(model)
    started = time.monotonic()
    await server.services.lifecycle.running(model)
    return time.monotonic() - started


async def one_round(
    server: Live, victim: str, alone: Sequence[tuple[int, Any]], patience: float
) -> None:
    """Kill one model in the middle of the crowd's requests. A busy machine is given more time."""
    long = {"model": victim, "prompt": "Once", "max_new_tokens": 1000, "min_new_tokens": 1000}
    hit = [asyncio.create_task(ask(server, long)) for _ in range(8)]
    while server.services.admission.num_in_flight < len(hit):
        await asyncio.sleep(0.005)
    crowd = [asyncio.create_task(ask(server, body)) for body in CROWD if body["model"] != victim]
    await asyncio.sleep(0.05)

    killed_at = time.monotonic()
    await kill(server, victim)
    answers = await asyncio.gather(*hit)
    told = time.monotonic() - killed_at
    back = await ask(server, CROWD[index_of(victim)])
    is_back = time.monotonic() - killed_at

    codes = {(status, content["error"]["code"]) for status, content in answers}
    assert codes == {(500, "engine_failed")}
    assert await asyncio.gather(*crowd) == [
        texts for texts, body in zip(alone, CROWD, strict=True) if body["model"] != victim
    ]
    assert back == alone[index_of(victim)]
    assert told < TOLD_SECONDS * patience
    assert is_back < BACK_SECONDS * patience
    await until(lambda: server.services.admission.num_in_flight == 0)
    assert server.services.lifecycle.state(victim) is ModelState.LOADED


async def until(holds: Callable[[], bool]) -> None:
    """What an answer leaves behind is tidied up after it was sent."""
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


def num_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def index_of(model: str) -> int:
    return next(i for i, body in enumerate(CROWD) if body["model"] == model)
