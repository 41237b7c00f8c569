"""The modes of OpenAI's own client behind one way to ask."""

from collections.abc import Awaitable, Callable
from typing import Any

import openai

Ask = Callable[..., Awaitable[Any]]


def method(client: Any, path: str) -> Any:
    """A method of a client by its path, as `chat.completions.create`."""
    for name in path.split("."):
        client = getattr(client, name)
    return client


def around(path: str, wrapper: str) -> str:
    """The path through one of the client's wrappers, which each stands before the last name."""
    head, _, last = path.rpartition(".")
    return f"{head}.{wrapper}.{last}"


def plain(client: openai.OpenAI, other: openai.AsyncOpenAI) -> Ask:
    """The blocking client."""

    async def ask(path: str, *values: Any, **fields: Any) -> Any:
        return method(client, path)(*values, **fields)

    return ask


def asynchronous(client: openai.OpenAI, other: openai.AsyncOpenAI) -> Ask:
    """The one for an event loop."""

    async def ask(path: str, *values: Any, **fields: Any) -> Any:
        return await method(other, path)(*values, **fields)

    return ask


def raw(client: openai.OpenAI, other: openai.AsyncOpenAI) -> Ask:
    """The whole HTTP response, read at once."""

    async def ask(path: str, *values: Any, **fields: Any) -> Any:
        response = method(client, around(path, "with_raw_response"))(*values, **fields)
        return told_of(response.http_response, response.parse())

    return ask


def asynchronous_raw(client: openai.OpenAI, other: openai.AsyncOpenAI) -> Ask:
    """The same on an event loop."""

    async def ask(path: str, *values: Any, **fields: Any) -> Any:
        response = await method(other, around(path, "with_raw_response"))(*values, **fields)
        return told_of(response.http_response, response.parse())

    return ask


def unread(client: openai.OpenAI, other: openai.AsyncOpenAI) -> Ask:
    """The HTTP response as it comes."""

    async def ask(path: str, *values: Any, **fields: Any) -> Any:
        opened = method(client, around(path, "with_streaming_response"))(*values, **fields)
        with opened as response:
            return told_of(response.http_response, response.parse())

    return ask


def asynchronous_unread(client: openai.OpenAI, other: openai.AsyncOpenAI) -> Ask:
    """The same on an event loop."""

    async def ask(path: str, *values: Any, **fields: Any) -> Any:
        opened = method(other, around(path, "with_streaming_response"))(*values, **fields)
        async with opened as response:
            return told_of(response.http_response, await response.parse())

    return ask


def told_of(http: Any, parsed: Any) -> Any:
    """What was parsed of a response that is as it should be."""
    assert http.status_code == 200 and http.headers["x-request-id"]
    return parsed


MODES = [plain, asynchronous, raw, asynchronous_raw, unread, asynchronous_unread]
