"""The fields of OpenAI's requests that change nothing here: taken as harmless, or refused by name.

Nothing is ignored in silence. The fields that are honoured stand in `schemas.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from penstock.api.problems import shown
from penstock.errors import InvalidParameter

Label = Annotated[str, Field(max_length=512)]
Labels = Annotated[dict[str, Label], Field(max_length=16)]


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
NO_TOOLS = "Tools are called through `/v1/chat/completions`."
NO_FORMS = "Texts of a set form are had through `/v1/chat/completions` and `/generate`."
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


def wire_fields(rules: Sequence[Rule]) -> Mapping[str, Any]:
    """The rules as fields of a pydantic model."""
    return {rule.name: (_type_of(rule), Field(None, description=rule.why)) for rule in rules}


def refuse_unsupported(body: BaseModel, rules: Sequence[Rule]) -> None:
    """Raise `InvalidParameter` for the first field that asks for what there is not."""
    for rule in rules:
        value = getattr(body, rule.name)
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
