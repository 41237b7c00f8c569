"""The dialect of Anthropic's Messages API: `/v1/messages` and its token count."""

from types import ModuleType

from penstock.api.anthropic import messages

ANTHROPIC: tuple[ModuleType, ...] = (messages,)
