"""For which models an adapter was trained, as far as the name of its base tells."""

import pytest

from penstock.serving.adapters import models_for
from penstock.serving.models import ModelCard


def card(name: str, hub_id: str | None = None, *aliases: str) -> ModelCard:
    return ModelCard(
        id=name,
        label=name,
        family="llama",
        description="",
        num_parameters=None,
        context_length=None,
        hub_id=hub_id,
        aliases=aliases,
    )


MODELS = [
    card("qwen", "Qwen/Qwen2-0.5B-Instruct", "qwen2-0.5b-instruct"),
    card("gpt2", "openai-community/gpt2"),
    card("gpt2-medium", "openai-community/gpt2-medium"),
    card("someone/gpt2", "someone/gpt2"),
]


@pytest.mark.parametrize(
    ("base_model", "models"),
    [
        ("qwen", ("qwen",)),
        ("Qwen/Qwen2-0.5B-Instruct", ("qwen",)),
        ("/home/me/models/Qwen2-0.5B-Instruct/", ("qwen",)),
        ("C:\\models\\qwen2-0.5b-instruct", ("qwen",)),
        ("gpt2", ("gpt2", "someone/gpt2")),
        ("openai-community/gpt2-medium", ("gpt2-medium",)),
        ("/runs/7/checkpoint-500", None),
        ("", None),
        (None, None),
    ],
)
def test_a_base_is_known_by_its_id_its_hub_id_or_the_end_of_its_path(
    base_model: str | None, models: tuple[str, ...] | None
) -> None:
    assert models_for(base_model, MODELS) == models
