"""What the real server offers, for its stand-in: from the code, so that neither grows stale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.api.building import loading_options
from penstock.api.playground.discovery import strategy_catalog
from penstock.api.playground.model_objects import model_object
from penstock.serving.local_models import LocalModels
from penstock.serving.model_states import ModelStatus
from penstock.serving.models import ModelCard, ModelState
from penstock.settings import Settings

MODELS = ("penstock-tiny", "gpt2", "gpt2-medium")


def offer() -> dict[str, Any]:
    """The answers to `GET /strategies`, `/models` and `/adapters`; one model is loaded."""
    source = LocalModels((), loading_options(Settings()))
    return {
        "strategies": strategy_catalog(),
        "models": {"default": MODELS[0], "models": [_model(source.find(id_)) for id_ in MODELS]},
        "adapters": {"adapters": []},
    }


def _model(card: ModelCard) -> dict[str, Any]:
    state = ModelState.LOADED if card.builtin else ModelState.AVAILABLE
    return model_object(ModelStatus(replace(card, local=card.builtin), state, None))
