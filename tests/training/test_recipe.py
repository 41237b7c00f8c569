"""A recipe is read or refused with the key, the value and what to write instead."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli.main import app
from penstock.errors import RecipeError
from penstock.training.recipe import DataSource, LoraRecipe, ModelRecipe, Recipe
from penstock.training.recipe_file import dump_recipe, keys_of, load_recipe
from tests.training.small import small_recipe, write_recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"learning_rat": 1e-3},
            "{path} has the unknown key learning_rat. Did you mean learning_rate?",
        ),
        (
            {"model": {"n_layers": 2}},
            "{path} has the unknown key model.n_layers. Did you mean n_layer?",
        ),
        (
            {"data": [{"file": "a.jsonl", "path": "a.jsonl"}]},
            "{path} has the unknown key data.0.file. "
            "Known here: path, dataset, subset, split, format, text_key, messages_key, "
            "prompt_key, completion_key, encoding, clean, bad_rows, max_rows, licence, "
            "weight, cooldown_weight.",
        ),
        ({"name": None}, "{path} has no name. Add `name:`."),
        ({"batch_size": 0}, "{path}: batch_size=0 cannot be used. Use greater than 0."),
        (
            {"optimizer": "sgd"},
            "{path}: optimizer='sgd' cannot be used. Use 'adamw' or 'muon'.",
        ),
        (
            {"epochs": 2},
            "{path}: set either max_steps or epochs, not both and not neither. Mend the recipe.",
        ),
        (
            {"block_size": 64},
            "{path}: block_size=64 is more than model.n_positions=32; the model has no position "
            "for the rest. Mend the recipe.",
        ),
        (
            {"final_block_size": 24},
            "{path}: final_block_size=24 does not divide batch_size * block_size. Mend the recipe.",
        ),
        (
            {"fp16": True},
            "{path}: fp16 needs a GPU and training runs on the CPU; set fp16: false, or "
            "bf16: true. Mend the recipe.",
        ),
    ],
)
def test_a_bad_recipe_says_what_to_write(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write_recipe(tmp_path, **changes)

    with pytest.raises(RecipeError) as refused:
        load_recipe(path)

    assert str(refused.value) == message.format(path=path)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        load_recipe(tmp_path / "none.yaml")

    expected = f"There is no recipe at {tmp_path}/none.yaml. Give the path of a YAML file."
    assert str(refused.value) == expected


def test_paths_are_taken_from_the_recipes_folder(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)

    assert recipe.data[0].path == tmp_path / "stories.jsonl"
    assert recipe.output_dir == tmp_path / "run"


def test_the_names_of_common_training_scripts_are_accepted(tmp_path: Path) -> None:
    recipe = small_recipe(
        tmp_path,
        learning_rate=5e-5,
        batch_size=8,
        gradient_accumulation_steps=4,
        epochs=5,
        max_steps=None,
        warmup_ratio=0.1,
        weight_decay=0.01,
        max_grad_norm=1.0,
        fp16=False,
        gradient_checkpointing=True,
        save_steps=500,
        block_size=16,
    )

    assert recipe.tokens_per_step == 8 * 4 * 16


RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_valid(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_a_recipe_written_out_whole_is_the_same_recipe(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    (tmp_path / "whole.yaml").write_text(dump_recipe(recipe))

    assert load_recipe(tmp_path / "whole.yaml") == recipe


def test_keys_are_changed_from_the_command_line(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    other = tmp_path / "other.jsonl"

    recipe = load_recipe(path, ["learning_rate=1e-4", "model.n_layer=3", "trackers=[wandb]"], other)

    assert (recipe.learning_rate, recipe.model.n_layer) == (1e-4, 3)
    assert (recipe.trackers, recipe.data[0].path) == (("wandb",), other)
    with pytest.raises(RecipeError, match="is no key=value"):
        load_recipe(path, ["learning_rate"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "lora"}, "method: lora needs an initial_model"),
        ({"lora": {"rank": 4}}, "lora: is given, but the method is another"),
        ({"method": "scratch", "initial_model": "gpt2"}, "leave initial_model out"),
        ({"data": [{"text_key": "a"}]}, "a data source has either a path or a dataset"),
        ({"name": "a/b"}, "name='a/b' cannot be used"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as refused:
        load_recipe(write_recipe(tmp_path, **changes))

    assert message in str(refused.value)


def test_the_help_explains_every_key() -> None:
    shown = CliRunner().invoke(app, ["train", "--help"]).stdout

    for section in (Recipe, DataSource, ModelRecipe, LoraRecipe):
        for name, _, meaning in keys_of(section):
            assert meaning
            assert f"  {name} " in shown
