"""A run goes on from a model's weights and tokenizer, or says why it cannot."""

from pathlib import Path

import pytest
import torch

from penstock.errors import RecipeError
from penstock.training.checkpoint import model_tensors
from penstock.training.recipe import Recipe
from penstock.training.run import train_and_export
from tests.training.small import small_recipe
from tests.training.test_loop import quiet, start


@pytest.fixture
def trained(tmp_path: Path) -> Recipe:
    (tmp_path / "first").mkdir()
    recipe = small_recipe(tmp_path / "first", max_steps=20, eval_steps=100)
    train_and_export(recipe, quiet(), command="")
    return recipe


def second_recipe(tmp_path: Path, first: Recipe, **changes: object) -> Recipe:
    folder = tmp_path / "second"
    folder.mkdir()
    initial = {"initial_model": str(first.run_dir / "model")}
    return small_recipe(folder, **(initial | changes))


def test_training_goes_on_where_the_model_stands(tmp_path: Path, trained: Recipe) -> None:
    last_loss = start(trained).validation_loss()
    training = start(second_recipe(tmp_path, trained))

    assert training.validation_loss() == pytest.approx(last_loss, abs=0.02)  # rounded to bfloat16
    assert training.step == 0


def test_the_tokenizer_comes_with_the_model(tmp_path: Path, trained: Recipe) -> None:
    recipe = second_recipe(tmp_path, trained)
    stories = recipe.data[0].path
    stories.write_text(stories.read_text(encoding="utf-8").replace("the king", "a zebra"))
    tokenizer = start(recipe).corpus.tokenizer

    assert tokenizer.to_str() == start(trained).corpus.tokenizer.to_str()


def test_a_model_of_another_shape_is_refused_by_its_key(tmp_path: Path, trained: Recipe) -> None:
    wider = {"vocab_size": 300, "n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 32}

    with pytest.raises(RecipeError, match="has n_embd=32, and the recipe says 64") as refused:
        start(second_recipe(tmp_path, trained, model=wider))

    assert refused.value.param == "model.n_embd"


def test_a_missing_model_is_refused_by_its_key(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, initial_model="nowhere")

    with pytest.raises(RecipeError, match="nowhere") as refused:
        start(recipe)

    assert refused.value.param == "initial_model"


def test_bfloat16_learns_what_float32_learns(tmp_path: Path) -> None:
    losses = {}
    for bf16 in (False, True):
        training = start(small_recipe(tmp_path, bf16=bf16, max_steps=40, output_dir=f"{bf16}"))
        losses[bf16] = training.run().validation_loss

        assert {t.dtype for t in model_tensors(training.model).values()} == {torch.float32}

    assert losses[True] == pytest.approx(losses[False], abs=0.1)
    assert losses[True] != losses[False]
