"""What of a row is read and what is learnt: texts, prompts with answers, and conversations.

An example is a list of segments; only the counted ones enter the loss. Knows no tokens.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penstock.errors import PenstockError
from penstock.text.chat_templates import ChatTemplate
from penstock.training.recipe import DataSource

Kind = Literal["text", "examples", "pairs"]  # packed; an answer to learn; encoder and decoder
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
SPEAKER = re.compile(r"^([A-Za-z][A-Za-z0-9 _]{0,30}):\s*(.*)$")


class UnusableRow(Exception):
    """Why a row cannot be used, as the end of a sentence that begins with its place."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text, and whether the model shall learn to write it."""

    text: str
    is_counted: bool


def detect_format(source: DataSource, columns: Mapping[str, Any]) -> str:
    """Decide by the columns of the first row what the source holds."""
    if source.format != "auto":
        return source.format
    if source.messages_key in columns or "conversations" in columns:
        return "chat"
    if source.prompt_key in columns and source.completion_key in columns:
        return "prompt_completion"
    return "text"


def text_of(source: DataSource, values: Mapping[str, Any]) -> str:
    """Return a row's text."""
    return _string(values, source.text_key, "Set text_key to the field that holds the text")


def prompt_and_completion(source: DataSource, values: Mapping[str, Any]) -> tuple[str, str]:
    """Return a row's prompt and what shall follow it."""
    prompt = _string(values, source.prompt_key, "Set prompt_key to the field of the prompt")
    answer = _string(values, source.completion_key, "Set completion_key to the answer's field")
    if not answer.strip():
        raise UnusableRow(f"has an empty answer under {source.completion_key!r}")
    return prompt, answer


def chat_segments(
    source: DataSource, values: Mapping[str, Any], template: ChatTemplate
) -> list[Segment]:
    """Return a conversation as the model sees it; what the assistant says is counted."""
    messages = messages_of(source, values)
    if template.origin == "fallback":
        return _plain_segments(messages)
    segments: list[Segment] = []
    written = ""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = _rendered(template, messages[:number], add_generation_prompt=True)
        after = _rendered(template, messages[: number + 1], add_generation_prompt=False)
        if not before.startswith(written) or not after.startswith(before):
            raise UnusableRow(
                "has a conversation that the model's chat template does not write turn by turn; "
                "give its last answer as prompt and completion"
            )
        segments += [Segment(before[len(written) :], False), Segment(after[len(before) :], True)]
        written = after
    return segments


def messages_of(source: DataSource, values: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return `role` and `content` of each turn, from a list or from a transcript in lines."""
    key = source.messages_key if source.messages_key in values else "conversations"
    stated = values.get(key)
    if isinstance(stated, str):
        turns = transcript_turns(stated)
    elif isinstance(stated, list):
        turns = [_turn(item) for item in stated]
    else:
        raise UnusableRow(
            f"has no conversation under {source.messages_key!r}. "
            "Set messages_key to the field that holds it"
        )
    if not any(turn["role"] == "assistant" and turn["content"].strip() for turn in turns):
        raise UnusableRow("has no answer of the assistant to learn from")
    return turns


def transcript_turns(text: str) -> list[dict[str, str]]:
    """Read `Name: words` lines; who speaks first is the user, anybody else the assistant."""
    turns: list[dict[str, str]] = []
    names: list[str] = []
    for line in text.splitlines():
        spoken = SPEAKER.match(line.strip())
        if spoken is None:
            if turns and line.strip():
                turns[-1]["content"] += "\n" + line.strip()
            continue
        name = spoken[1].lower()
        names += [name] if name not in names else []
        role = "user" if name == names[0] else "assistant"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += " " + spoken[2]
        else:
            turns.append({"role": role, "content": spoken[2]})
    return turns


def _plain_segments(messages: Sequence[Mapping[str, str]]) -> list[Segment]:
    """The fallback template, written out. `User:` after an answer is learnt: it ends the answer."""
    segments: list[Segment] = []
    follows_answer = False
    for message in messages:
        content = message["content"].strip()
        if message["role"] == "system":
            segments.append(Segment(f"{content}\n\n", False))
            continue
        if message["role"] == "assistant":
            segments += [Segment("Assistant:", False), Segment(f" {content}\n", True)]
        else:
            segments.append(Segment("User:", follows_answer))
            segments.append(Segment(f" {content}\n", False))
        follows_answer = message["role"] == "assistant"
    return segments


def _rendered(
    template: ChatTemplate, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool
) -> str:
    try:
        return template.render(messages, add_generation_prompt=add_generation_prompt)
    except PenstockError as error:
        raise UnusableRow(f"does not fit the model's chat template ({error.problem})") from None


def _turn(item: Any) -> dict[str, str]:
    if not isinstance(item, Mapping):
        raise UnusableRow(f"has a turn that is a {type(item).__name__}, not an object")
    role = item.get("role", item.get("from"))
    content = item.get("content", item.get("value"))
    if not isinstance(role, str) or not isinstance(content, str):
        raise UnusableRow("has a turn without `role` and `content` texts")
    return {"role": ROLES.get(role, role), "content": content}


def _string(values: Mapping[str, Any], key: str, hint: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        there_are = ", ".join(list(values)[:8]) or "none"
        raise UnusableRow(f"has no text under {key!r} (its fields: {there_are}). {hint}")
    return value
