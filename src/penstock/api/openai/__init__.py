"""The OpenAI dialect under `/v1`, and what its clients ask besides."""

from types import ModuleType

from penstock.api.openai import chats, completions, embeddings, models, responses, texts

OPENAI: tuple[ModuleType, ...] = (completions, chats, responses, embeddings, models, texts)
