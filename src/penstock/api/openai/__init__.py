"""The OpenAI dialect under `/v1`, and what its clients ask besides."""

from types import ModuleType

from penstock.api.openai import (
    batches,
    chats,
    completions,
    embeddings,
    files,
    fine_tuning,
    models,
    responses,
    texts,
)

OPENAI: tuple[ModuleType, ...] = (
    completions,
    chats,
    responses,
    embeddings,
    models,
    texts,
)
FILES: tuple[ModuleType, ...] = (files, batches, fine_tuning)
