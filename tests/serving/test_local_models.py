"""Models of this machine: found by name only, loaded from a folder, run by the real engine."""

from pathlib import Path

import pytest

from penstock.errors import ModelNotFound, ModelUnavailable, PenstockError
from penstock.model.folder import weight_files
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.local_engine import digest_of
from penstock.serving.local_models import LocalModels
from penstock.serving.models import LoadingOptions
from penstock.types import GenerationRequest, SequenceFinished

OPTIONS = LoadingOptions(num_threads=1, cache_bytes=1 << 24)
BUILTIN = Path(__file__).parents[2] / "src" / "penstock" / "model" / "builtin"


@pytest.fixture
def models() -> LocalModels:
    return LocalModels(["penstock-tiny"], OPTIONS)


def test_every_model_of_the_catalog_can_be_named(models: LocalModels) -> None:
    cards = {card.id: card for card in models.cards()}

    assert next(iter(cards)) == "penstock-tiny"
    assert {"gpt2", "qwen", "flan-t5-small"} <= cards.keys()
    assert models.find("openai-community/gpt2").id == "gpt2"


@pytest.mark.parametrize(
    "name",
    ["../etc", "/etc/passwd", "a/../b", "a/b/c", "~", "gpt2\0", ".", "", "x" * 300, "a\\b", "%2e"],
)
def test_a_name_never_becomes_a_path(models: LocalModels, name: str) -> None:
    with pytest.raises(ModelNotFound):
        models.find(name)


def test_a_folder_is_served_only_when_an_operator_named_it(
    models: LocalModels, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.symlink_to(BUILTIN)

    with pytest.raises(ModelNotFound):
        models.find(str(folder))

    named = LocalModels([str(BUILTIN.resolve())], OPTIONS)
    assert named.find(str(BUILTIN.resolve())).id == "builtin"
    assert named.find("builtin").local


def test_what_is_not_here_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    models = LocalModels([], OPTIONS)

    assert not models.find("gpt2").local
    with pytest.raises(ModelUnavailable, match="penstock models pull gpt2"):
        models.load("gpt2")


async def test_the_built_in_model_loads_and_writes(models: LocalModels) -> None:
    if not (BUILTIN / "model.safetensors").is_file():
        pytest.skip("The built-in model's weights are not in this checkout.")
    lifecycle = Lifecycle(models)
    try:
        running = await lifecycle.running("penstock-tiny")
        request = GenerationRequest(
            request_id="r", prompt="Once upon a time", model="penstock-tiny", max_new_tokens=8
        )
        stream = await running.client.submit(request)
        outputs = [output async for output in stream]
    finally:
        await lifecycle.close()

    (finished,) = [o for o in outputs if isinstance(o, SequenceFinished)]
    assert 1 <= len(finished.token_ids) <= 8
    assert running.model.weights_digest == digest_of(weight_files(BUILTIN))


def test_a_folder_without_weights_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "empty-model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    models = LocalModels([str(folder)], OPTIONS)

    with pytest.raises(PenstockError, match="empty-model"):
        models.load("empty-model")


def test_whether_a_model_embeds_is_known_before_it_is_loaded(
    models: LocalModels, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    placed = LocalModels([str(tmp_path)], OPTIONS).find(str(tmp_path))

    assert models.find("gpt2").embeds is True
    assert models.find("flan-t5-small").embeds is False
    assert models.find("someone/something").embeds is None
    assert placed.embeds is False
