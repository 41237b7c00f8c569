"""The training recipe: what a run is made of, read from YAML and refused where it is unclear.

Knows no tensors; the loop and the data read from here.
"""

import difflib
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from penstock.errors import RecipeError

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelRecipe(_Section):
    """The shape of a GPT-2 model trained from nothing."""

    vocab_size: Positive = 4096
    n_embd: Positive = 256
    n_layer: Positive = 5
    n_head: Positive = 4
    n_positions: Positive = 512


class DataSource(_Section):
    """One JSONL file of documents and its share of the batches before and during the cool-down."""

    path: Path
    weight: Annotated[float, Field(ge=0)] = 1.0
    cooldown_weight: Annotated[float, Field(ge=0)] | None = None
    text_key: str = "text"


class Recipe(_Section):
    """Everything that decides a training run, except the machine."""

    name: str
    output_dir: Path
    data: Annotated[tuple[DataSource, ...], Field(min_length=1)]
    model: ModelRecipe = ModelRecipe()
    initial_model: Path | None = None  # a model folder to go on from, tokenizer included
    seed: int = 0

    block_size: Positive = 128
    final_block_size: Positive | None = None
    final_block_steps: Annotated[int, Field(ge=0)] = 0
    shift_positions: bool = False
    batch_size: Positive = 8
    gradient_accumulation_steps: Positive = 1
    max_steps: Positive | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None

    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    muon_learning_rate: Annotated[float, Field(gt=0)] = 5e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    warmup_ratio: Fraction = 0.1
    cooldown_steps: Annotated[int, Field(ge=0)] | None = None

    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    validation_batches: Positive = 16
    logging_steps: Positive = 10
    eval_steps: Positive = 200
    save_steps: Positive = 200
    sample_prompts: tuple[str, ...] = ("Once upon a time",)
    sample_tokens: Positive = 100

    gradient_checkpointing: bool = False
    fp16: bool = False
    bf16: bool = False  # multiply in bfloat16, keep weights and their updates in float32
    compile: bool = False
    threads: Positive | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.max_steps is None) == (self.epochs is None):
            raise ValueError("set either max_steps or epochs, not both and not neither")
        for name in ("block_size", "final_block_size"):
            if (getattr(self, name) or 0) > self.model.n_positions:
                raise ValueError(
                    f"{name}={getattr(self, name)} is more than model.n_positions="
                    f"{self.model.n_positions}; the model has no position for the rest"
                )
        if self.final_block_size and self.batch_size * self.block_size % self.final_block_size:
            raise ValueError(
                f"final_block_size={self.final_block_size} does not divide batch_size * block_size"
            )
        if self.fp16:
            raise ValueError("fp16 needs a GPU and training runs on the CPU; set fp16: false")
        if self.model.n_embd % self.model.n_head:
            raise ValueError("model.n_embd must be a multiple of model.n_head")
        return self

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.gradient_accumulation_steps * self.block_size


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe; relative data paths are taken from the recipe's folder."""
    if not path.is_file():
        raise RecipeError(f"There is no recipe at {path}.", "Give the path of a YAML file.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(
            f"{path} is not valid YAML: {error}.", "Mend the line it names."
        ) from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path} is not a mapping.", "Write one `key: value` per line.")
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise _explain(error.errors()[0], path) from None
    return _resolve_paths(recipe, path.resolve().parent)


def _resolve_paths(recipe: Recipe, base: Path) -> Recipe:
    sources = tuple(s.model_copy(update={"path": base / s.path}) for s in recipe.data)
    output_dir = (base / recipe.output_dir).resolve()
    initial = base / recipe.initial_model if recipe.initial_model else None
    return recipe.model_copy(
        update={"data": sources, "output_dir": output_dir, "initial_model": initial}
    )


def _explain(detail: ErrorDetails, path: Path) -> RecipeError:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return _unknown_key(key, path)
    if detail["type"] == "missing":
        return RecipeError(f"{path} has no {key}.", f"Add `{key}:`.", param=key)
    if not key:
        problem = detail["msg"].removeprefix("Value error, ")
        return RecipeError(f"{path}: {problem}.", "Mend the recipe.")
    wanted = detail["msg"].removeprefix("Input should be ")
    problem = f"{path}: {key}={detail['input']!r} cannot be used."
    return RecipeError(problem, f"Use {wanted}.", param=key)


def _unknown_key(key: str, path: Path) -> RecipeError:
    section, _, name = key.rpartition(".")
    sections: dict[str, type[_Section]] = {"model": ModelRecipe, "data": DataSource}
    keys = sections.get(section.split(".")[0], Recipe).model_fields
    close = difflib.get_close_matches(name, keys, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(keys)}."
    return RecipeError(f"{path} has the unknown key {key}.", hint, param=key)
