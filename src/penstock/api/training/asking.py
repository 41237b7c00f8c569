"""What a client sends to have a model trained, checked before anything is begun.

A client names files that were uploaded and data sets that the server knows, never a path.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, Text
from penstock.api.services import Services
from penstock.errors import RecipeError
from penstock.jobs.trainings.handler import datasets_in, suffix_of
from penstock.storage.files import StoredFile

OF_THE_SERVER: Mapping[str, str] = {
    "output_dir": "The server decides where runs lie.",
    "tokenizer": "Leave it out: it comes with initial_model, or is learnt.",
}


class TrainingBody(Strict):
    """`POST /training/runs`."""

    recipe: dict[Text, Any] = Field(
        description="A recipe, as `penstock train --help` explains its keys; each source of `data` "
        "has the id of an uploaded `file`, or the name of a `dataset` of the server's."
    )
    serve_as: Name | None = Field(
        None, description="Serve what comes of it by this name; it is kept as a run alone if unset."
    )
    force: bool = Field(False, description="Serve it also if it is worse than what it came from.")


async def payload_of(body: TrainingBody, services: Services, owner: str) -> dict[str, Any]:
    """The job's payload. Raises what is wrong with the request."""
    recipe = dict(body.recipe)
    await check_recipe(recipe, services, owner)
    if body.serve_as is not None:
        check_served_name(body.serve_as)
    return {"recipe": recipe, "serve_as": body.serve_as, "force": body.force}


def check_served_name(name: str) -> None:
    """Refuse what cannot be a tuned model's name."""
    from penstock.registry.versions import check_name  # noqa: PLC0415  # by who trains alone

    check_name(name)


async def check_recipe(recipe: dict[str, Any], services: Services, owner: str) -> None:
    """Refuse a recipe that could not be carried out."""
    from penstock.training.recipe_file import checked_recipe  # noqa: PLC0415  # as above

    for key, hint in OF_THE_SERVER.items():
        if recipe.get(key) is not None:
            raise RecipeError(f"The recipe has {key}.", hint, param=f"recipe.{key}")
    sources = recipe.get("data")
    if not isinstance(sources, list):
        raise RecipeError("The recipe has no list of data.", "Add one.", param="recipe.data")
    found = [
        await _stand_in(source, services, owner, f"recipe.data.{number}")
        for number, source in enumerate(sources)
    ]
    held_out = recipe.get("validation")
    if held_out is not None:
        held_out = await _stand_in(held_out, services, owner, "recipe.validation")
    checked = checked_recipe({**recipe, "data": found, "validation": held_out}, "The recipe")
    if checked.initial_model is not None:
        services.lifecycle.find(checked.initial_model)


async def _stand_in(source: Any, services: Services, owner: str, place: str) -> dict[str, Any]:
    """The source as a recipe has it, with a path where the file will be."""
    if (
        not isinstance(source, dict)
        or "path" in source
        or ("file" in source) == ("dataset" in source)
    ):
        raise RecipeError(
            f"{place} does not say which data to take.",
            "Give either `file`, the id of an uploaded file, or `dataset`, a name.",
            param=place,
        )
    if "dataset" in source:
        _check_dataset(source["dataset"], services, f"{place}.dataset")
        return source
    file = await uploaded(services, owner, source["file"], f"{place}.file")
    rest = {key: value for key, value in source.items() if key != "file"}
    return rest | {"path": f"data{suffix_of(file.filename)}"}


async def uploaded(services: Services, owner: str, file_id: Any, place: str) -> StoredFile:
    """The file. Raises `UnknownFile`, or `RecipeError` for what is no id."""
    if not isinstance(file_id, str):
        raise RecipeError(f"{place}={file_id!r} is no id.", "Upload a file first.", param=place)
    return await services.lasting.files.get(owner, file_id)


def _check_dataset(name: Any, services: Services, place: str) -> None:
    from penstock.training.named_data import NAMED  # noqa: PLC0415  # as above

    known = (*datasets_in(services.lasting.runs.data_dir), *NAMED)
    if name not in known:
        raise RecipeError(
            f"{place}={str(name)[:80]!r} is no data set of this server.",
            f"Use one of {', '.join(known)}; others are put into `datasets` of its data directory.",
            param=place,
        )
