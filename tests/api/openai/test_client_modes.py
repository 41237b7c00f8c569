"""Each route in each mode of OpenAI's own client: plain, asynchronous, raw, unread, streaming."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from tests.api.openai.batching import ended, line, prompt
from tests.api.openai.conftest import MODEL, Check
from tests.api.openai.field_effects import BASE
from tests.api.openai.modes import MODES, Ask, method

# The method of the client, the schema of an answer and that of a stream's chunk.
ROUTES = {
    "/v1/completions": ("completions", "CreateCompletionResponse"),
    "/v1/chat/completions": ("chat.completions", "CreateChatCompletionResponse"),
    "/v1/responses": ("responses", "Response"),
    "/v1/embeddings": ("embeddings", "CreateEmbeddingResponse"),
}
STREAMED = [route for route in ROUTES if route != "/v1/embeddings"]
Mode = Callable[[openai.OpenAI, openai.AsyncOpenAI], Ask]


@pytest.fixture
async def other(server_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{server_url}/v1", api_key="none") as other:
        yield other


@pytest.fixture(params=MODES, ids=[mode.__name__ for mode in MODES])
def ask(
    request: pytest.FixtureRequest, client: openai.OpenAI, other: openai.AsyncOpenAI, check: Check
) -> Ask:
    """Asks in one of the modes; `schema` is what the answer must be."""
    in_mode: Ask = request.param(client, other)

    async def ask(path: str, *values: Any, schema: str, **fields: Any) -> Any:
        answer = await in_mode(path, *values, **fields)
        check(answer, schema)
        return answer

    return ask


def body(route: str, **more: Any) -> dict[str, Any]:
    """The plain request; a seed is no field of every route in the client."""
    fields = {**BASE[route], **more}
    own = {"seed": fields.pop("seed")} if "seed" in fields else {}
    return fields | {"extra_body": own}


@pytest.mark.parametrize("route", ROUTES)
async def test_every_mode_gets_the_same_answer(client: openai.OpenAI, ask: Ask, route: str) -> None:
    name, schema = ROUTES[route]

    answer = await ask(f"{name}.create", schema=schema, **body(route))

    expected = method(client, name).create(**body(route))
    assert type(answer) is type(expected)
    assert said(answer.to_dict()) == said(expected.to_dict()) != ""


def said(answer: dict[str, Any]) -> Any:
    """What an answer says, on whichever route."""
    if "output" in answer:
        return answer["output"][0]["content"]
    return answer.get("data") or answer["choices"]


async def test_every_mode_finds_models_and_remembered_responses(ask: Ask) -> None:
    models = await ask("models.list", schema="ListModelsResponse")
    model = await ask("models.retrieve", MODEL, schema="Model")
    made = await ask(
        "responses.create", model=MODEL, input="Hi.", max_output_tokens=1, schema="Response"
    )
    found = await ask("responses.retrieve", made.id, schema="Response")
    items = await ask("responses.input_items.list", made.id, schema="ResponseItemList")

    assert models.data[0] == model
    assert found == made
    assert items.data[0].content[0].text == "Hi."


async def test_every_mode_keeps_files_and_runs_batches(ask: Ask, client: openai.OpenAI) -> None:
    sent = ("in.jsonl", b'{"custom_id": "a"}\n')
    file = await ask("files.create", file=sent, purpose="batch", schema="OpenAIFile")
    found = await ask("files.retrieve", file.id, schema="OpenAIFile")
    files = await ask("files.list", limit=1, schema="ListFilesResponse")
    batch = await ask(
        "batches.create", input_file_id=file.id, endpoint="/v1/completions",
        completion_window="24h", schema="Batch",
    )  # fmt: skip
    same = await ask("batches.retrieve", batch.id, schema="Batch")
    batches = await ask("batches.list", limit=1, schema="ListBatchesResponse")
    ended(client, batch)
    deleted = await ask("files.delete", file.id, schema="DeleteFileResponse")

    assert (found, same.id, deleted.deleted) == (file, batch.id, True)
    assert (len(files.data), len(batches.data)) == (1, 1)


async def test_every_mode_cancels_a_batch(ask: Ask, client: openai.OpenAI) -> None:
    lines = b"\n".join(_line(number) for number in range(3))
    file = client.files.create(file=("in.jsonl", lines), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/completions", completion_window="24h"
    )

    try:
        cancelled = await ask("batches.cancel", batch.id, schema="Batch")
    except openai.ConflictError as over:  # it was faster
        assert "completed" in str(over)
    else:
        assert cancelled.status in ("cancelling", "cancelled")


async def test_a_files_content_comes_in_every_mode(
    client: openai.OpenAI, other: openai.AsyncOpenAI
) -> None:
    content = _line(1)
    file_id = client.files.create(file=("in.jsonl", content), purpose="batch").id

    with client.files.with_streaming_response.content(file_id) as unread:
        assert unread.read() == content
    async with other.files.with_streaming_response.content(file_id) as unread_too:
        assert await unread_too.read() == content
    assert client.files.content(file_id).read() == content
    assert (await other.files.content(file_id)).read() == content
    assert client.files.with_raw_response.content(file_id).content == content


def _line(number: int) -> bytes:
    return json.dumps(line(str(number), prompt("Once", max_tokens=100))).encode()


@pytest.mark.parametrize("route", STREAMED)
async def test_a_stream_comes_to_every_mode_as_to_the_plain_one(
    client: openai.OpenAI, other: openai.AsyncOpenAI, route: str
) -> None:
    name = f"{ROUTES[route][0]}"
    asked = body(route, stream=True)
    there = [chunk.to_dict() for chunk in method(client, name).create(**asked)]
    awaited = [chunk.to_dict() async for chunk in await method(other, name).create(**asked)]
    raw = method(client, name).with_raw_response.create(**asked).parse()
    with method(client, name).with_streaming_response.create(**asked) as opened:
        unread = [chunk.to_dict() for chunk in opened.parse()]
    async with method(other, name).with_streaming_response.create(**asked) as opened:
        unread_too = [chunk.to_dict() async for chunk in await opened.parse()]

    texts = ["".join(map(text_of, chunks)) for chunks in (there, awaited, unread, unread_too)]
    assert "".join(text_of(chunk.to_dict()) for chunk in raw) == texts[0] != ""
    assert len(set(texts)) == 1


def text_of(chunk: dict[str, Any]) -> str:
    """The text that a chunk brings, on whichever route."""
    if "delta" in chunk:
        return str(chunk["delta"])
    choice = (chunk.get("choices") or [{}])[0]
    return choice.get("text") or choice.get("delta", {}).get("content") or ""
