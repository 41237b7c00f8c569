"""Recipes and texts small enough to train on in a second."""

import json
from pathlib import Path
from typing import Any

import yaml

from penstock.training.recipe import Recipe
from penstock.training.recipe_file import load_recipe

ANIMALS = ("fox", "hen", "goat", "mouse", "crow", "bear", "frog", "wolf", "duck", "cat")
PLACES = ("forest", "village", "river", "market", "garden", "hill", "barn", "road", "lake", "field")


def story(number: int) -> str:
    """Return one of a hundred different little stories of three paragraphs."""
    animal, place = ANIMALS[number % 10], PLACES[number // 10 % 10]
    return (
        f"Once upon a time a {animal} lived near the {place}. It was happy and it sang all day.\n\n"
        f"One day the {animal} went to the {place} and said to the king, I am the {animal} of the "
        f"{place} and I am not afraid of you or of the {ANIMALS[(number + 3) % 10]}.\n\n"
        f"The king laughed and gave the {animal} a cake. So it went home from the {place} again."
    )


def write_recipe(folder: Path, **changes: Any) -> Path:
    """Write a tiny corpus and a recipe for it; `changes` replace or add keys."""
    lines = [json.dumps({"text": story(number)}) for number in range(100)]
    (folder / "stories.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = {
        "name": "small",
        "output_dir": "run",
        "data": [{"path": "stories.jsonl", "clean": True}],
        "model": {
            "vocab_size": 300,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 2,
            "n_positions": 32,
        },
        "block_size": 32,
        "batch_size": 4,
        "max_steps": 8,
        "warmup_steps": 2,
        "learning_rate": 0.003,
        "optimizer": "muon",
        "validation_fraction": 0.1,
        "validation_batches": 2,
        "logging_steps": 1,
        "eval_steps": 4,
        "save_steps": 2,
        "sample_tokens": 4,
    }
    path = folder / "recipe.yaml"
    merged = {key: value for key, value in (recipe | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(merged), encoding="utf-8")
    return path


def small_recipe(folder: Path, **changes: Any) -> Recipe:
    """Return the tiny recipe, read back from its file."""
    return load_recipe(write_recipe(folder, **changes))
