"""Ollama's tools and formats in OpenAI's words, which the rest is written in. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from penstock.api.ollama.schemas import OllamaChatBody, OllamaTurnBody, Options, Written
from penstock.api.openai.formats import (
    ResponseFormat,
    SchemaFormat,
    grammar_of_calls,
    refuse_two_forms,
    tools_of,
)
from penstock.errors import InvalidParameter
from penstock.text.chat import Message
from penstock.text.tool_calls import ToolCall


def form_of(body: Written) -> dict[str, Any]:
    """What the answer is bound to, as values of the catalog's parameters."""
    tools = tools_of(body.tools, None) if isinstance(body, OllamaChatBody) else ()
    if tools or body.format:
        refuse_two_forms(body.options or Options(), "tools" if tools else "format")
    if tools:
        answer = _response_format(body)
        return {"grammar": grammar_of_calls(tools, None, several=True, response_format=answer)}
    if isinstance(body.format, dict):
        return {"json_schema": json.dumps(body.format, ensure_ascii=False)}
    return {"json_object": True} if body.format else {}


def messages_of(turns: Sequence[OllamaTurnBody]) -> list[Message]:
    """The conversation. Refuses calls of anyone but the assistant."""
    return [_message(turn, f"messages.{number}") for number, turn in enumerate(turns)]


def _message(turn: OllamaTurnBody, place: str) -> Message:
    calls = turn.tool_calls or []
    if calls and turn.role != "assistant":
        raise InvalidParameter(
            f"{place}.tool_calls is in a turn of the {turn.role}.",
            "Only the assistant calls tools.",
            param=f"{place}.tool_calls",
        )
    return Message(
        role=turn.role,
        content=turn.content or "",
        name=turn.tool_name or None,
        tool_calls=tuple(
            ToolCall(
                call.id or f"call_{number}",
                call.function.name,
                json.dumps(call.function.arguments, ensure_ascii=False),
            )
            for number, call in enumerate(calls)
        ),
        tool_call_id=turn.tool_call_id,
    )


def _response_format(body: Written) -> ResponseFormat | None:
    """What an answer without a call is bound to."""
    if isinstance(body.format, dict):
        schema = SchemaFormat.model_validate({"name": "answer", "schema": body.format})
        return ResponseFormat(type="json_schema", json_schema=schema)
    return ResponseFormat(type="json_object") if body.format else None
