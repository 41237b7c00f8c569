"""What is said in a turn of a conversation in Anthropic's blocks: texts, calls and their answers.

A block's `cache_control` changes nothing, and there are no citations.
"""

import json
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from penstock.api.openai.fields import Harmless, Refused
from penstock.api.openai.schemas import MAX_PARTS
from penstock.api.playground.wire_types import check_text
from penstock.api.treatments import Parts
from penstock.text.tool_calls import ToolCall

LONGEST_ID = 200
HINT = "A hint for Anthropic's cache."
BLOCKS = Parts(
    honoured={
        "type": "`text`, `tool_use` (a call the assistant made) or `tool_result` (its answer).",
        "text": "The text.",
        "id": "Of a call.",
        "name": "Of the tool that was called.",
        "input": "A call's arguments.",
        "tool_use_id": "Of the call that is answered.",
        "content": "A call's answer: a text, or blocks of type `text`.",
    },
    rules=(
        Harmless(name="cache_control", wire=Any, why=HINT),
        Harmless(name="caller", wire=Any, why="As it comes back in an answer."),
        Harmless(name="is_error", wire=Any, why="The answer itself says so to the model."),
        Refused(name="citations", neutral=([], None), why="There are no citations here."),
    ),
)
FIELDS_OF = {
    "text": {"type", "text", "cache_control", "citations"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered to a call."""

    call_id: str
    content: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn: its text, the calls that were made in it, and the answers that came."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


def read_text(value: Any) -> str:
    """A string, or the texts of blocks one after the other."""
    spoken = read_turn(value)
    if spoken.calls or spoken.results:
        raise _refused("Use a string or blocks of text")
    return spoken.text


def read_turn(value: Any) -> Spoken:
    """A string, or blocks."""
    if isinstance(value, str):
        return Spoken(check_text(value))
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PARTS:
        raise _refused(f"Use a string or 1 to {MAX_PARTS} blocks")
    blocks = [_block(block) for block in value]
    return Spoken(
        "".join(block for block in blocks if isinstance(block, str)),
        tuple(block for block in blocks if isinstance(block, ToolCall)),
        tuple(block for block in blocks if isinstance(block, ToolResult)),
    )


def _block(block: Any) -> str | ToolCall | ToolResult:
    match block:
        case {"type": str(kind)} if kind not in FIELDS_OF:
            raise _refused(f"Models here read text, not {kind[:40]}")
        case {"type": str(kind)} if not block.keys() <= FIELDS_OF[kind]:
            other = min(block.keys() - FIELDS_OF[kind])
            raise _refused(f"A block of type {kind} has no field {other[:40]!a}")
        case {"type": "text", "text": str(text)}:
            if block.get("citations"):
                raise _refused("Citations are not supported: leave them out")
            return check_text(text)
        case {"type": "tool_use", "id": str(call_id), "name": str(name), "input": dict(given)}:
            return ToolCall(_id(call_id), _id(name), check_text(json.dumps(given)))
        case {"type": "tool_result", "tool_use_id": str(call_id)}:
            return ToolResult(_id(call_id), read_text(block.get("content") or ""))
    raise _refused('Use blocks like {"type": "text", "text": "..."}')


def _id(value: str) -> str:
    if not 1 <= len(value) <= LONGEST_ID:
        raise _refused(f"Ids and names have 1 to {LONGEST_ID} characters")
    return check_text(value)


def _refused(problem: str) -> PydanticCustomError:
    return PydanticCustomError("content", "{problem}", {"problem": problem})
