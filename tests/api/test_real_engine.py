"""The server with the real engine on a small random model, over real sockets.

Whoever shares the engine, whoever leaves: each of the others gets the text it gets alone.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import PreparedRequest
from penstock.errors import ModelNotFound
from penstock.model.loading import LoadedModel
from penstock.serving.local_engine import LocalEngineKit
from penstock.serving.models import HostedModel, ModelCard, ServedModel
from penstock.text.chat import Tokenized
from penstock.types import EngineOutput, GenerationRequest, WatermarkScore
from tests.api.conftest import Live, listening
from tests.api.reading import DONE, events_of, texts_of
from tests.tiny_gpt2 import tiny_model

CONFIG = EngineConfig(num_blocks=600, block_size=8, max_batch_tokens=64, max_sequences=32)
CONTEXT_LENGTH = 256
CARD = ModelCard(
    id="tiny",
    label="Tiny",
    family="gpt2",
    description="Random.",
    num_parameters=None,
    context_length=CONTEXT_LENGTH,
    local=True,
)
STRATEGIES: Sequence[dict[str, Any]] = [
    {"strategy": "sampling", "temperature": 1.0},
    {"strategy": "greedy", "repetition_penalty": 1.2},
    {"strategy": "beam_search", "num_beams": 4},
    {"strategy": "top_k", "top_k": 7, "num_return_sequences": 3},
]


class FallibleEngine(Engine):
    """The real engine, but for steps that are made to fail."""

    will_fail = False

    def step(self) -> list[EngineOutput]:
        if self.will_fail:
            raise RuntimeError("out of memory, say")
        return super().step()


class WatchedKit:
    """Keeps the engines it makes, to look at their statistics."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self.engines: list[FallibleEngine] = []

    def prepare(self, request: GenerationRequest) -> PreparedRequest:
        return LocalEngineKit(self._model, CONFIG).prepare(request)

    def tokenize(self, text: str, with_ends: bool, with_specials: bool) -> Tokenized:
        return LocalEngineKit(self._model, CONFIG).tokenize(text, with_ends, with_specials)

    def detokenize(self, token_ids: tuple[int, ...]) -> str:
        return LocalEngineKit(self._model, CONFIG).detokenize(token_ids)

    def detect_watermark(
        self, text: str, gamma: float, key: int | None, each_pair_once: bool
    ) -> WatermarkScore:
        kit = LocalEngineKit(self._model, CONFIG)
        return kit.detect_watermark(text, gamma, key, each_pair_once)

    def make_engine(self) -> Engine:
        self.engines.append(FallibleEngine(self._model, CONFIG))
        return self.engines[-1]


class TinyModels:
    """One small random model."""

    def __init__(self) -> None:
        self.kit = WatchedKit(tiny_model(context_length=CONTEXT_LENGTH).model)

    def cards(self) -> list[ModelCard]:
        return [CARD]

    def find(self, name: str) -> ModelCard:
        if name not in ("tiny", "penstock-tiny"):
            raise ModelNotFound(f"There is no {name}.", "Use tiny.", param="model")
        return CARD

    def fetch(self, model_id: str, progress: object) -> None:
        raise NotImplementedError

    def remove(self, model_id: str) -> int:
        raise NotImplementedError

    def load(self, model_id: str) -> HostedModel:
        served = ServedModel(
            id=model_id,
            context_length=CONTEXT_LENGTH,
            hidden_size=None,
            num_parameters=1,
            dtype="float32",
            num_bytes=1,
            weights_digest="",
        )
        return HostedModel(served, self.kit)

    async def until_idle(self, within_seconds: float = 5.0) -> None:
        """Nothing runs and every block is free."""
        deadline = time.monotonic() + within_seconds
        while True:
            stats = self.kit.engines[-1].stats()
            idle = stats.num_running == stats.num_waiting == 0
            if idle and stats.num_free_blocks == stats.num_blocks:
                return
            assert time.monotonic() < deadline, stats
            await asyncio.sleep(0.005)


@pytest.fixture
async def served() -> AsyncIterator[tuple[Live, TinyModels]]:
    models = TinyModels()
    async with listening(models) as live:
        yield live, models


def body(number: int, **more: Any) -> dict[str, Any]:
    return {
        "prompt": f"The {number}. miller 🦀 had " + "grain and " * (number % 5),
        "seed": number,
        "max_new_tokens": 30 + number,
        **STRATEGIES[number % len(STRATEGIES)],
        **more,
    }


async def plain(live: Live, fields: dict[str, Any]) -> list[str]:
    response = await live.http.post("/generate", json=fields)
    assert response.status_code == 200, response.text
    return [sequence["text"] for sequence in response.json()["sequences"]]


async def streamed(live: Live, fields: dict[str, Any]) -> list[str]:
    response = await live.http.post("/generate", json={**fields, "stream": True})
    events = events_of(response.text)
    assert events[-1] == DONE
    texts = [sequence["text"] for sequence in events[-2]["sequences"]]
    joined = texts_of(events)
    assert [joined.get(index, "") for index in range(len(texts))] == texts
    return texts


async def leave_after(live: Live, fields: dict[str, Any], num_bytes: int) -> None:
    """Ask for a long text and go away in the middle of it."""
    content = json.dumps({**fields, "stream": True, "max_new_tokens": 150}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    head = "POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    await reader.readexactly(num_bytes)
    writer.transport.abort()


async def test_eleven_of_sixteen_get_what_they_get_alone_while_five_leave(
    served: tuple[Live, TinyModels],
) -> None:
    live, models = served
    stayers = [number for number in range(16) if number % 3 != 1]
    leavers = [number for number in range(16) if number % 3 == 1]
    alone = {number: await plain(live, body(number)) for number in stayers}
    await models.until_idle()

    together, _ = await asyncio.gather(
        asyncio.gather(*(streamed(live, body(number)) for number in stayers)),
        asyncio.gather(*(leave_after(live, body(n), 700 + 300 * n) for n in leavers)),
    )

    assert (len(stayers), len(leavers)) == (11, 5)
    assert dict(zip(stayers, together, strict=True)) == alone
    await models.until_idle()
    assert live.services.admission.num_in_flight == 0


async def test_compare_gives_each_column_what_it_gets_alone(
    served: tuple[Live, TinyModels],
) -> None:
    live, models = served
    shared = {"prompt": "Once upon a time", "seed": 3, "max_new_tokens": 25}
    alone = [await plain(live, {**shared, **fields}) for fields in STRATEGIES]

    answer = await live.http.post("/compare", json={**shared, "columns": STRATEGIES})

    columns = answer.json()["columns"]
    assert [[s["text"] for s in column["sequences"]] for column in columns] == alone
    await models.until_idle()


async def test_a_failed_step_leaves_a_server_that_works_as_before(
    served: tuple[Live, TinyModels],
) -> None:
    live, models = served
    before = await plain(live, body(1))
    models.kit.engines[-1].will_fail = True

    failed = await live.http.post("/generate", json=body(2))
    after = await plain(live, body(1))

    assert failed.json()["error"]["code"] == "engine_failed"
    assert after == before
    assert len(models.kit.engines) == 2
    await models.until_idle()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"num_return_sequences": 3, "strategy": "beam_search", "num_beams": 2},
         "num_return_sequences"),
        ({"min_new_tokens": 31, "max_new_tokens": 30}, "min_new_tokens"),
        ({"max_new_tokens": CONTEXT_LENGTH}, "max_new_tokens"),
        ({"prompt": "x" * CONTEXT_LENGTH}, "prompt"),
        ({"prompt": "x" * 150, "max_length": 100}, "max_length"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_done_is_refused_before_the_first_byte(
    served: tuple[Live, TinyModels], fields: dict[str, Any], param: str, stream: bool
) -> None:
    live, _ = served

    response = await live.http.post("/generate", json={"prompt": "x", **fields, "stream": stream})

    assert response.status_code in (400, 422)
    assert response.json()["error"]["param"] == param


async def test_a_prompt_that_does_not_fit_is_a_400_with_the_counts(
    served: tuple[Live, TinyModels],
) -> None:
    live, _ = served

    response = await live.http.post("/generate", json={"prompt": "x" * 300})

    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "The prompt has 300 tokens; the context of tiny is 256. "
        "Shorten the prompt by at least 45 tokens.",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "context_length_exceeded",
    }


async def test_every_prompt_comes_back_and_every_event_is_whole_characters(
    served: tuple[Live, TinyModels],
) -> None:
    """The byte model writes every broken character there is."""
    live, _ = served
    texts = await asyncio.gather(
        *(streamed(live, body(n, prompt="🦀é\u0301", temperature=2.0)) for n in range(0, 16, 4))
    )

    assert all(text.encode().decode() == text for sequence in texts for text in sequence)
