"""The larger recipes that come along start on their own kind of data, with a small shape."""

import json
from pathlib import Path
from typing import Any

from penstock.training.recipe import LoraRecipe, ModelRecipe, Recipe
from penstock.training.recipe_file import load_recipe
from penstock.training.reporter import Reporter
from penstock.training.run import train_and_export

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL: dict[str, Any] = {
    "block_size": 32,
    "batch_size": 2,
    "max_steps": 1,
    "epochs": None,
    "cooldown_steps": None,
    "warmup_steps": None,
    "warmup_ratio": 0.0,
    "validation_batches": 1,
    "sample_tokens": 2,
    "threads": 1,
}


def carried_out(recipe: Recipe, folder: Path, **changes: Any) -> dict[str, Any]:
    small = recipe.model_copy(update=SMALL | {"output_dir": folder} | changes)
    with Reporter() as reporter:
        assert train_and_export(small, reporter, command="") == 0
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    assert (record["status"], record["step"]) == ("finished", 1)
    return record


def test_stories_in_languages_learn_from_every_column(tmp_path: Path, shared_data: Path) -> None:
    recipe = load_recipe(RECIPES / "stories-in-languages.yaml")
    stories = (shared_data / "corpora" / "parallel_stories.jsonl").read_text("utf-8").split("\n")
    keys = [source.text_key for source in recipe.data]
    some = [[line for line in stories if f'"{key}":' in line][:4] for key in keys]
    path = tmp_path / "stories.jsonl"
    path.write_text("\n".join(dict.fromkeys(line for lines in some for line in lines)), "utf-8")
    sources = [source.model_copy(update={"path": path}) for source in recipe.data]
    shape = ModelRecipe(family="llama", vocab_size=300, n_embd=16, n_layer=1, n_head=2)

    record = carried_out(recipe, tmp_path, data=tuple(sources), model=shape)

    assert keys == ["en", "fr", "pt", "sw", "af", "zu", "hi"]
    assert len(record["sources"]) == 7 and record["family"] == "llama"


def test_python_code_learns_from_the_standard_library(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPES / "python-code.yaml")
    source = recipe.data[0].model_copy(update={"path": Path(json.__file__).parent})
    shape = ModelRecipe(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=64)

    record = carried_out(recipe, tmp_path, data=(source,), model=shape)

    assert record["kind"] == "text"


def test_t5_learns_answers_to_questions_about_tales(tmp_path: Path, shared_data: Path) -> None:
    recipe = load_recipe(RECIPES / "t5-fairytaleqa.yaml")
    lines = (shared_data / "instruct" / "fairytaleqa.jsonl").read_text().splitlines()[:8]
    rows = [{"prompt": x["question"], "completion": x["answer"]} for x in map(json.loads, lines)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shape = ModelRecipe(family="t5", n_embd=16, n_layer=1, n_head=2)

    record = carried_out(
        recipe,
        tmp_path,
        data=(recipe.data[0].model_copy(update={"path": path}),),
        initial_model=None,  # the shape of a small one in its place
        method=None,
        lora=LoraRecipe(),
        model=shape,
        tokenizer=shared_data / "tokenizers" / "t5",
    )

    assert (record["kind"], record["family"]) == ("pairs", "t5")
