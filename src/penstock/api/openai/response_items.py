"""The items of a conversation in `/v1/responses`: messages, calls of functions, their answers.

They are read into turns as models see them, and written as clients know them. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import PydanticCustomError

from penstock.api.openai.fields import Harmless, Refused
from penstock.api.openai.messages import arguments_of
from penstock.api.openai.schemas import MAX_MESSAGES, MAX_PARTS
from penstock.api.playground.wire_types import check_text
from penstock.api.treatments import Parts
from penstock.errors import InvalidParameter
from penstock.text.chat import Message, Role
from penstock.text.tool_calls import ToolCall

LONGEST_ID = 200
ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
CALL, ANSWER = "function_call", "function_call_output"
TEXT_PARTS = {"input_text", "output_text"}
SENT_BACK = "As it comes back in an answer."
ONLY_TEXT = "Models here read text."
MEDIA = ("detail", "file_data", "file_id", "file_url", "filename", "image_url")
BREAKPOINT = "prompt_cache_breakpoint"
PART = Parts(
    honoured={"type": "`input_text` or `output_text`.", "text": "The text."},
    rules=(
        *(Refused(name=name, why=ONLY_TEXT) for name in (*MEDIA, "refusal")),
        *(Harmless(name=name, wire=Any, why=SENT_BACK) for name in ("annotations", "logprobs")),
        Harmless(name=BREAKPOINT, wire=Any, why="A hint for OpenAI's cache."),
    ),
)
ITEM = Parts(
    honoured={
        "type": f"`message`, `{CALL}` (a call the assistant made) or `{ANSWER}` (its answer); "
        "items of other types are refused.",
        "role": "Who speaks.",
        "content": "A text, or parts of text.",
        "call_id": "Of the call that is made or answered.",
        "name": "Of the function that is called.",
        "arguments": "A JSON object, as JSON.",
        "output": "A call's answer: a text, or parts of text.",
        **PART.named("content.").honoured,
        **PART.named("output.").honoured,
    },
    rules=(
        *(Harmless(name=name, wire=Any, why=SENT_BACK) for name in ("id", "phase", "status")),
        Refused(name="caller", why="Only the model calls functions here."),
        Refused(name="namespace", why="Functions have no namespaces here."),
        *PART.named("content.").rules,
        *PART.named("output.").rules,
    ),
)
FIELDS_OF = {
    "message": {"type", "role", "content", "id", "phase", "status"},
    CALL: {"type", "id", "call_id", "name", "arguments", "status"},
    ANSWER: {"type", "id", "call_id", "name", "output", "status"},
}
MAY_BE_NULL = {"caller", "namespace"}  # as clients send calls back


def read_input(value: Any) -> tuple[Message, ...]:
    """The turns of an input: one of the user's, or those of its items.

    Calls belong to the turn of the assistant's before them.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MESSAGES:
        raise _refused(f"Use a text, or a list of 1 to {MAX_MESSAGES} items")
    turns: list[Message] = []
    for turn in map(_turn, value):
        if turn.tool_calls and turns and turns[-1].role == "assistant":
            calls = (*turns[-1].tool_calls, *turn.tool_calls)
            turns[-1] = replace(turns[-1], tool_calls=calls)
        else:
            turns.append(turn)
    return tuple(turns)


def refuse_stray_answers(conversation: Sequence[Message]) -> None:
    """Raise `InvalidParameter` for an answer to a call that nobody made."""
    made: set[str | None] = set()
    for message in conversation:
        made |= {call.id for call in message.tool_calls}
        if message.role == "tool" and message.tool_call_id not in made:
            raise InvalidParameter(
                f"input answers the call {message.tool_call_id!a}, which was not made.",
                f"Send the {CALL} before its {ANSWER}, or the previous_response_id it came with.",
                param="input",
            )


def input_items(response_id: str, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Turns as the items of an input."""
    items = [item for message in messages for item in _items(message)]
    return [
        {"id": f"{response_id}-in-{number}", "status": "completed", **item}
        for number, item in enumerate(items)
    ]


def function_call(call: ToolCall) -> dict[str, Any]:
    """A call as an item has it."""
    return {"type": CALL, "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _items(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": ANSWER, "call_id": message.tool_call_id, "output": message.content}
        return
    if message.content or not message.tool_calls:
        yield {"type": "message", "role": message.role, "content": [_part(message)]}
    yield from map(function_call, message.tool_calls)


def _part(message: Message) -> dict[str, Any]:
    if message.role == "assistant":
        return {"type": "output_text", "text": message.content, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": message.content}


def _turn(item: Any) -> Message:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    if isinstance(kind, str) and kind not in FIELDS_OF:
        raise _refused(f"Only messages, calls and their answers are read here, not {kind[:40]}")
    if isinstance(kind, str):
        other = [name for name in item if not _is_known(name, item[name], kind)]
        if other:
            raise _refused(f"An item of type {kind} has no field {other[0][:40]!a}")
    match item:
        case {"type": "function_call", "call_id": str(call_id), "name": str(name)}:
            call = ToolCall(_label(call_id), _label(name), _arguments(item.get("arguments")))
            return Message("assistant", "", tool_calls=(call,))
        case {"type": "function_call_output", "call_id": str(call_id), "output": output}:
            name = item.get("name")
            told = None if name is None else _label(name)
            return Message("tool", _content(output, "output"), told, tool_call_id=_label(call_id))
        case {"role": str(role), "content": content} if kind == "message" and role in ROLES:
            return Message(ROLES[role], _content(content, "content"))
    raise _refused('Use items like {"role": "user", "content": "..."}')


def _is_known(name: str, value: Any, kind: str) -> bool:
    return name in FIELDS_OF[kind] or (name in MAY_BE_NULL and value is None)


def _label(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_ID:
        raise _refused(f"Ids and names have 1 to {LONGEST_ID} characters")
    return check_text(value)


def _arguments(value: Any) -> str:
    if isinstance(value, str):
        try:
            return arguments_of(check_text(value))
        except ValueError:
            pass
    raise _refused("The arguments of a call are a JSON object, as JSON: send them as they came")


def _content(content: Any, name: str) -> str:
    if isinstance(content, str):
        return check_text(content)
    if not isinstance(content, list) or not 1 <= len(content) <= MAX_PARTS:
        raise _refused(f"Use a text or 1 to {MAX_PARTS} parts of text as {name}")
    return check_text("".join(_text(part) for part in content))


def _text(part: Any) -> str:
    match part:
        case {"type": str(kind), "text": str(text)} if (
            kind in TEXT_PARTS and part.keys() <= PART.known
        ):
            return text
        case {"type": str(kind)} if kind not in TEXT_PARTS:
            raise _refused(f"Models here read text, not {kind[:40]}")
    raise _refused('Use parts like {"type": "input_text", "text": "..."}')


def _refused(problem: str) -> PydanticCustomError:
    return PydanticCustomError("input", "{problem}", {"problem": problem})
