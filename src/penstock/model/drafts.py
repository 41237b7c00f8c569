"""Puts a model and its draft together, or says why they do not belong together."""

from dataclasses import replace

from penstock.errors import ModelUnavailable
from penstock.model.loading import LoadedModel


def with_draft(model: LoadedModel, draft: LoadedModel) -> LoadedModel:
    """`model` with a draft model that guesses for it. Raises `ModelUnavailable`."""
    if not model.tokenizer.has_same_tokens(draft.tokenizer):
        raise _unsuited(model, draft, "they have different tokenizers")
    if model.decoder_start_token_id != draft.decoder_start_token_id:
        raise _unsuited(model, draft, "one answers its prompt and the other continues it")
    return replace(model, draft=draft)


def _unsuited(model: LoadedModel, draft: LoadedModel, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{draft.model_id} cannot draft for {model.model_id}: {why}.",
        "Name a smaller model of the same kind in PENSTOCK_DRAFT_MODELS, or none.",
        param="model",
    )
