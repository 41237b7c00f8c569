"""The fields of `/v1/responses` that change nothing here: harmless, or refused by name."""

from collections.abc import Sequence
from typing import Any

from penstock.api.openai.fields import USER, Harmless, Label, Refused, Rule

RESPONSE_RULES: Sequence[Rule] = (
    USER,
    Harmless(name="safety_identifier", wire=Label, why="A label for OpenAI's abuse detection."),
    Harmless(name="prompt_cache_key", wire=Label, why="A hint for OpenAI's cache."),
    Harmless(name="prompt_cache_retention", wire=Label, why="A hint for OpenAI's cache."),
    Harmless(name="prompt_cache_options", wire=dict[str, Any], why="A hint for OpenAI's cache."),
    Refused(name="background", neutral=(False,), why="An answer is written while you wait."),
    Refused(name="context_management", neutral=([],), why="A conversation is never cut here."),
    Refused(
        name="conversation",
        why="Conversations are not stored.",
        instead="Leave it out and send previous_response_id.",
    ),
    Refused(name="max_tool_calls", why="It bounds tools that OpenAI runs; here are none."),
    Refused(name="moderation", why="There is no moderation model here."),
    Refused(name="prompt", why="No prompts are stored.", instead="Send the text as input."),
    Refused(
        name="reasoning",
        neutral=({}, {"effort": "none"}, {"effort": None}),
        why="No model here reasons apart.",
    ),
    Refused(name="service_tier", neutral=("auto", "default"), why="There is one tier of service."),
    Refused(name="truncation", neutral=("disabled",), why="An input that does not fit is refused."),
)
