"""A recipe read from YAML, changed from the command line, and refused where it is unclear."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from penstock.errors import RecipeError
from penstock.training.recipe import DataSource, LoraRecipe, ModelRecipe, Recipe, Section

SECTIONS: Mapping[str, type[Section]] = {
    "model": ModelRecipe,
    "lora": LoraRecipe,
    "data": DataSource,
    "validation": DataSource,
}


def load_recipe(path: Path, changes: Sequence[str] = (), data: Path | None = None) -> Recipe:
    """Read and check a recipe; relative paths in it are taken from its folder.

    `changes` are `key=value` from the command line, and `data` stands for the path of its only
    source; relative paths there are taken from where the command runs.
    """
    content = _read(path)
    for change in changes:
        _apply(content, change)
    if data is not None:
        _point_to(content, data)
    return _resolve_paths(checked_recipe(content, str(path)), path.resolve().parent)


def checked_recipe(content: Mapping[str, Any], name: str) -> Recipe:
    """The recipe, its paths as they are. Raises `RecipeError` that calls it by `name`."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise _explain(error.errors()[0], name) from None


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe as YAML, with every default written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def keys_of(section: type[BaseModel]) -> list[tuple[str, str, str]]:
    """Every key with its default and its meaning, for a help text."""
    return [
        (name, _default(field), field.description or "")
        for name, field in section.model_fields.items()
    ]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RecipeError(f"There is no recipe at {path}.", "Give the path of a YAML file.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8."
        ) from None
    except yaml.YAMLError as error:
        raise RecipeError(
            f"{path} is not valid YAML: {error}.", "Mend the line it names."
        ) from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path} is not a mapping.", "Write one `key: value` per line.")
    return content


def _apply(content: dict[str, Any], change: str) -> None:
    name, is_assignment, text = change.partition("=")
    if not is_assignment:
        raise RecipeError(f"{change!r} is no key=value.", "Write --set learning_rate=1e-4.")
    target = content
    *sections, key = name.split(".")
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise RecipeError(f"{name} names no single key.", "Change the recipe's file.")
    target[key] = yaml.safe_load(text)


def _point_to(content: dict[str, Any], data: Path) -> None:
    sources = content.get("data")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        raise RecipeError(
            "--data stands for the path of one source, and the recipe has another number of them.",
            "Change the paths in the recipe's file.",
            param="data",
        )
    sources[0].pop("dataset", None)
    sources[0]["path"] = str(data.resolve())


def _resolve_paths(recipe: Recipe, base: Path) -> Recipe:
    changes: dict[str, Any] = {
        "data": tuple(_resolved(source, base) for source in recipe.data),
        "output_dir": (base / (recipe.output_dir or Path("runs") / recipe.name)).resolve(),
    }
    if recipe.validation is not None:
        changes["validation"] = _resolved(recipe.validation, base)
    if recipe.tokenizer is not None:
        changes["tokenizer"] = (base / recipe.tokenizer).resolve()
    initial = recipe.initial_model
    if initial is not None and ((base / initial).is_dir() or initial.startswith(("./", "../"))):
        changes["initial_model"] = str((base / initial).resolve())
    return recipe.model_copy(update=changes)


def _resolved(source: DataSource, base: Path) -> DataSource:
    if source.path is None:
        return source
    return source.model_copy(update={"path": (base / source.path).resolve()})


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined or default is None:
        return "" if default is None else "needed"
    if isinstance(default, BaseModel):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return str(list(default))
    return str(default)


def _explain(detail: ErrorDetails, path: str) -> RecipeError:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return _unknown_key(key, path)
    if detail["type"] == "missing":
        return RecipeError(f"{path} has no {key}.", f"Add `{key}:`.", param=key)
    if detail["type"] == "value_error":
        problem = detail["msg"].removeprefix("Value error, ")
        return RecipeError(f"{path}: {problem}.", "Mend the recipe.", param=key or None)
    wanted = detail["msg"].removeprefix("Input should be ")
    problem = f"{path}: {key}={detail['input']!r} cannot be used."
    return RecipeError(problem, f"Use {wanted}.", param=key)


def _unknown_key(key: str, path: str) -> RecipeError:
    section, _, name = key.rpartition(".")
    keys = SECTIONS.get(section.split(".")[0], Recipe).model_fields
    close = difflib.get_close_matches(name, keys, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(keys)}."
    return RecipeError(f"{path} has the unknown key {key}.", hint, param=key)
