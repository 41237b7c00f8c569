"""From the messages of a request to a conversation as models see it. Pure; knows no HTTP."""

import json
from collections.abc import Sequence

from penstock.api.openai.schemas import CallBody, MessageBody
from penstock.errors import InvalidParameter
from penstock.text.chat import Message
from penstock.text.tool_calls import ToolCall


def messages_of(bodies: Sequence[MessageBody]) -> tuple[Message, ...]:
    """The conversation; a developer is a system to models. Refuses halves of calls and answers."""
    return tuple(_message(body, f"messages.{i}") for i, body in enumerate(bodies))


def _message(body: MessageBody, place: str) -> Message:
    calls = body.tool_calls or []
    if body.content is None and not calls:
        raise _missing(f"{place}.content", "Only a turn with tool_calls may go without.")
    if calls and body.role != "assistant":
        raise InvalidParameter(
            f"{place}.tool_calls is in a turn of the {body.role}.",
            "Only the assistant calls tools.",
            param=f"{place}.tool_calls",
        )
    if body.role == "tool" and body.tool_call_id is None:
        raise _missing(f"{place}.tool_call_id", "Send the id of the call that is answered.")
    return Message(
        role="system" if body.role == "developer" else body.role,
        content=body.content or "",
        name=body.name,
        tool_calls=tuple(
            _call(call, f"{place}.tool_calls.{i}.function.arguments")
            for i, call in enumerate(calls)
        ),
        tool_call_id=body.tool_call_id,
    )


def arguments_of(text: str) -> str:
    """The arguments of a call, which are a JSON object. Raises `ValueError` for anything else."""
    try:
        arguments = json.loads(text)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(arguments, dict):
        raise ValueError("no object")
    return json.dumps(arguments, ensure_ascii=False)


def _call(body: CallBody, place: str) -> ToolCall:
    try:
        arguments = arguments_of(body.function.arguments)
    except ValueError as error:
        raise InvalidParameter(
            f"{place} is not a JSON object.", "Send the arguments as they came.", param=place
        ) from error
    return ToolCall(body.id, body.function.name, arguments)


def _missing(place: str, hint: str) -> InvalidParameter:
    return InvalidParameter(f"{place} is missing.", hint, param=place)
