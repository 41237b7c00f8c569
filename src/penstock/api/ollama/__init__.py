"""The dialect of Ollama's API, `/api`: generate, chat, embed, and what there is."""

from types import ModuleType

from penstock.api.ollama import absent, embedding, fetching, models, writing

OLLAMA: tuple[ModuleType, ...] = (writing, embedding, models, fetching, absent)
