"""The OpenAI dialect under `/v1`: completions, chats, models; and what its clients ask besides."""

from types import ModuleType

from penstock.api.openai import capabilities, chats, completions, models, texts

OPENAI: tuple[ModuleType, ...] = (completions, chats, models, capabilities, texts)
