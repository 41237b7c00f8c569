"""The fields of Anthropic's requests that change nothing here: harmless, or refused by name."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from penstock.api.openai.fields import Harmless, Refused, Rule

CacheHint = Annotated[dict[str, Any], Field(max_length=4)]

COUNT_RULES: Sequence[Rule] = (
    Harmless(name="cache_control", wire=CacheHint, why="A hint for Anthropic's cache."),
    Refused(name="speed", neutral=("standard",), why="There is one speed."),
    Refused(name="thinking", neutral=({"type": "disabled"},), why="No model here thinks apart."),
)
MESSAGE_RULES: Sequence[Rule] = (
    *COUNT_RULES,
    Harmless(
        name="metadata",
        wire=Annotated[dict[str, Any], Field(max_length=16)],
        why="A label for Anthropic's own abuse detection.",
    ),
    Refused(name="container", why="Nothing here runs code in containers."),
    Refused(name="context_management", why="A conversation is never cut or edited here."),
    Refused(name="diagnostics", why="There is no prompt cache to tell of."),
    Refused(name="inference_geo", why="There is one place, this server."),
    Refused(name="mcp_servers", neutral=([],), why="No other servers are asked."),
    Refused(
        name="service_tier", neutral=("auto", "standard_only"), why="There is one tier of service."
    ),
)
