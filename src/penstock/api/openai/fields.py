"""The fields of OpenAI's requests that change nothing here: taken as harmless, or refused by name.

Nothing is ignored in silence. The fields that are honoured stand in `schemas.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from penstock.api.playground.wire_types import Text
from penstock.api.problems import shown
from penstock.errors import InvalidParameter

Label = Annotated[Text, Field(max_length=512)]
Labels = Annotated[dict[Text, Label], Field(max_length=16)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmless:
    """A field that asks for nothing a server of one's own could do differently."""

    name: str
    wire: Any
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A field that cannot be honoured. It may be sent at a value that asks for nothing."""

    name: str
    neutral: tuple[Any, ...] = ()
    why: str
    instead: str = "Leave it out."


Rule = Harmless | Refused

USER = Harmless(name="user", wire=Label, why="A label for OpenAI's own abuse detection.")
COMPLETION_RULES: Sequence[Rule] = (
    USER,
    Refused(
        name="suffix",
        why="No model here was taught to fill a gap.",
        instead="Leave it out, or put what follows into the prompt.",
    ),
)
EMBEDDING_RULES: Sequence[Rule] = (USER,)
OLD_TOOLS = "It is the former form of tools."
CHAT_RULES: Sequence[Rule] = (
    USER,
    Harmless(name="safety_identifier", wire=Label, why="A label for OpenAI's abuse detection."),
    Harmless(name="prompt_cache_key", wire=Label, why="A hint for OpenAI's cache."),
    Harmless(name="prompt_cache_retention", wire=Label, why="A hint for OpenAI's cache."),
    Harmless(name="prompt_cache_options", wire=dict[str, Any], why="A hint for OpenAI's cache."),
    Harmless(name="metadata", wire=Labels, why="Labels for stored answers; none are stored."),
    Refused(name="service_tier", neutral=("auto", "default"), why="There is one tier of service."),
    Refused(name="store", neutral=(False,), why="Answers are not stored."),
    Refused(name="functions", neutral=([],), why=OLD_TOOLS, instead="Send tools."),
    Refused(
        name="function_call",
        neutral=("none", "auto"),
        why=OLD_TOOLS,
        instead="Send tools and tool_choice.",
    ),
    Refused(name="modalities", neutral=(["text"],), why="Models here write text."),
    Refused(name="audio", why="Models here write text."),
    Refused(name="reasoning_effort", neutral=("none",), why="No model here reasons apart."),
    Refused(
        name="verbosity",
        neutral=("medium",),
        why="No model here has such a setting.",
        instead="Leave it out; `max_completion_tokens` bounds the length.",
    ),
    Refused(name="web_search_options", why="Nothing here searches the web."),
    Refused(name="moderation", why="There is no moderation model here."),
    Refused(
        name="prediction",
        why="A predicted text is not used.",
        instead="Leave it out: the answer is the same without it.",
    ),
)

# What may stand after a route's `?` and is refused there. Anything else unknown is refused too.
QUERY_RULES: Mapping[str, Sequence[Rule]] = {
    "/v1/responses/{response_id}": (
        Refused(name="include", why="A response is told as it was asked for."),
        Refused(
            name="stream",
            neutral=("false",),
            why="A response that is kept is told whole.",
            instead="Leave it out, or stream the response when you ask for it.",
        ),
        Refused(name="starting_after", why="A response that is kept is told whole."),
        Refused(
            name="include_obfuscation",
            neutral=("false",),
            why="A response that is kept is told whole.",
        ),
    ),
    "/v1/responses/{response_id}/input_items": (
        Refused(name="include", why="Texts have nothing that could be included."),
    ),
}


def wire_fields(rules: Sequence[Rule]) -> Mapping[str, Any]:
    """The rules as fields of a pydantic model."""
    return {rule.name: (_type_of(rule), Field(None, description=rule.why)) for rule in rules}


def refuse_unsupported(body: BaseModel, rules: Sequence[Rule]) -> None:
    """Raise `InvalidParameter` for the first field that asks for what there is not."""
    for rule in rules:
        _refuse(rule, getattr(body, rule.name))


def refuse_queries(path: str, sent: Mapping[str, str], known: Collection[str]) -> None:
    """Raise `InvalidParameter` for the first part of an address's query that has no effect."""
    rules = {rule.name: rule for rule in QUERY_RULES.get(path, ())}
    for name, value in sent.items():
        if name in rules:
            _refuse(rules[name], value)
        elif name not in known:
            raise InvalidParameter(
                f"{shown(name)} is not a parameter of this address.",
                f"Remove it, or use {', '.join(sorted(known))}." if known else "Remove it.",
                param=name[:200],
            )


def _refuse(rule: Rule, value: Any) -> None:
    if isinstance(rule, Refused) and value is not None and not _is_neutral(value, rule):
        raise InvalidParameter(
            f"{rule.name}={shown(value)} is not supported: {_lower(rule.why)}",
            rule.instead,
            param=rule.name,
        )


def _is_neutral(value: Any, rule: Refused) -> bool:
    return any(type(value) is type(neutral) and value == neutral for neutral in rule.neutral)


def _type_of(rule: Rule) -> Any:
    return rule.wire | None if isinstance(rule, Harmless) else Any


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
