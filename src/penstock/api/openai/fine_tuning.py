"""`/v1/fine_tuning/jobs`: training runs as OpenAI's clients ask for and see them."""

import asyncio
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from penstock.api.dispatching import dispatch_of
from penstock.api.openai.batches import Label, LabelName
from penstock.api.openai.fine_tuning_presenting import (
    JOB_PREFIX,
    shown_checkpoints,
    shown_events,
    shown_fine_tuning,
)
from penstock.api.openai.lists import After
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.owner import OwnerDep
from penstock.api.permission import check_permission
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Text
from penstock.api.services import Services, ServicesDep
from penstock.api.training.asking import check_recipe, check_served_name
from penstock.errors import UnknownJob
from penstock.jobs.job import Job
from penstock.jobs.store import NewJob
from penstock.jobs.trainings.handler import FINE_TUNING
from penstock.storage.paging import Page

EPOCHS, BATCH_SIZE, LEARNING_RATE, RANK = 3, 4, 1e-3, 8  # what `auto` comes to
BLOCK_SIZE = 512
LONGEST_SUFFIX = 18
Auto = Literal["auto"]

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


class Hyperparameters(Strict):
    """How long and how fast is learnt."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = Field(
        "auto", description=f"Passes over the file; `auto` is {EPOCHS}."
    )
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = Field(
        "auto", description=f"Rows per step; `auto` is {BATCH_SIZE}, or fewer where there are few."
    )
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = Field(
        "auto", description=f"Times the learning rate of {LEARNING_RATE}; `auto` is 1."
    )


class Supervised(Strict):
    """Learning from good answers."""

    hyperparameters: Hyperparameters = Field(Hyperparameters(), description="Its settings.")


class FineTuningMethod(Strict):
    """How the model learns."""

    type: Literal["supervised"] = Field(description="From good answers; nothing else is here.")
    supervised: Supervised = Field(Supervised(), description="Its settings.")


class FineTuningBody(Strict):
    """A request for a tuned model."""

    model: Text = Field(max_length=200, description="What to go on from: an id from `GET /models`.")
    training_file: Text = Field(max_length=64, description="An uploaded file of examples.")
    validation_file: Text | None = Field(
        None, max_length=64, description="Another; else a tenth of the examples is held out."
    )
    hyperparameters: Hyperparameters | None = Field(
        None, description="Here in older clients; `method` is the place for them."
    )
    method: FineTuningMethod | None = Field(None, description="`supervised`.")
    suffix: Annotated[Text, Field(pattern=r"^[A-Za-z0-9._-]*$", max_length=64)] | None = Field(
        None, description="Part of the new model's name; its first 18 characters are used."
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="The same seed, the same model."
    )
    integrations: Annotated[list[dict[str, Any]], Field(max_length=0)] | None = Field(
        None, description="None is here: a recipe's `trackers` are."
    )
    metadata: Annotated[dict[LabelName, Label], Field(max_length=16)] | None = Field(
        None, description="Labels of your own."
    )


@router.post(
    "/fine_tuning/jobs",
    summary="Tune a model",
    responses=FAILURES,
    dependencies=[Depends(check_permission)],
)
async def create_fine_tuning(
    body: FineTuningBody, request: Request, services: ServicesDep, owner: OwnerDep
) -> dict[str, Any]:
    """Learn an adapter from chats or from prompts with completions, and serve the result.

    For who may change models. It goes on in the background, through restarts.
    """
    payload = await _payload(body, services, owner)
    job = await services.lasting.jobs.create(NewJob(owner=owner, kind=FINE_TUNING, payload=payload))
    dispatch_of(request).submitted(job.id)
    return await _shown(job, services)


@router.get("/fine_tuning/jobs", summary="The tunings there are", responses=FAILURES)
async def list_fine_tunings(
    services: ServicesDep,
    owner: OwnerDep,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 20,
    after: After = None,
) -> dict[str, Any]:
    """The newest first."""
    last = None if after is None else job_id_of(after)
    page = Page(limit=limit, after=last)
    jobs, has_more = await services.lasting.jobs.page(owner, page, kind=FINE_TUNING)
    data = [await _shown(job, services) for job in jobs]
    return {"object": "list", "data": data, "has_more": has_more}


@router.get("/fine_tuning/jobs/{job_id}", summary="One tuning", responses=FAILURES)
async def retrieve_fine_tuning(
    job_id: str, services: ServicesDep, owner: OwnerDep
) -> dict[str, Any]:
    """How far it is; once it has succeeded, `fine_tuned_model` is what to ask for."""
    return await _shown(await _found(job_id, services, owner), services)


@router.post(
    "/fine_tuning/jobs/{job_id}/cancel",
    summary="Cancel a tuning",
    responses=FAILURES,
    dependencies=[Depends(check_permission)],
)
async def cancel_fine_tuning(
    job_id: str, request: Request, services: ServicesDep, owner: OwnerDep
) -> dict[str, Any]:
    """End it within a step."""
    job = await _found(job_id, services, owner)
    job = await services.lasting.jobs.cancel(owner, job.id)
    dispatch_of(request).cancel(job.id)
    return await _shown(job, services)


@router.get("/fine_tuning/jobs/{job_id}/events", summary="What a tuning logged", responses=FAILURES)
async def list_fine_tuning_events(
    job_id: str,
    services: ServicesDep,
    owner: OwnerDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 20,
    after: After = None,
) -> dict[str, Any]:
    """The newest first: states, losses and samples."""
    job = await _found(job_id, services, owner)
    _, happened = await services.lasting.jobs.news(owner, job.id, after=0)
    folder = services.lasting.runs.of(job.id)
    events = await asyncio.to_thread(shown_events, job, happened, folder)
    return _page(events, limit, after)


@router.get(
    "/fine_tuning/jobs/{job_id}/checkpoints", summary="A tuning's checkpoints", responses=FAILURES
)
async def list_fine_tuning_checkpoints(
    job_id: str,
    services: ServicesDep,
    owner: OwnerDep,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 10,
    after: After = None,
) -> dict[str, Any]:
    """That which can be asked for as a model: the one that the result was made of."""
    job = await _found(job_id, services, owner)
    folder = services.lasting.runs.of(job.id)
    page = _page(await asyncio.to_thread(shown_checkpoints, job, folder), limit, after)
    ids = [item["id"] for item in page["data"]] or [None]
    return page | {"first_id": ids[0], "last_id": ids[-1]}


def job_id_of(fine_tuning_id: str) -> str:
    """The job behind an id of this dialect. Raises `UnknownJob` for what is none."""
    if not fine_tuning_id.startswith(JOB_PREFIX):
        raise _unknown(fine_tuning_id)
    return "job_" + fine_tuning_id.removeprefix(JOB_PREFIX)


async def _found(fine_tuning_id: str, services: Services, owner: str) -> Job:
    job_id = job_id_of(fine_tuning_id)
    try:
        job = await services.lasting.jobs.get(owner, job_id)
    except UnknownJob:
        raise _unknown(fine_tuning_id) from None
    if job.kind != FINE_TUNING:
        raise _unknown(fine_tuning_id)
    return job


def _unknown(fine_tuning_id: str) -> UnknownJob:
    return UnknownJob(
        f"There is no fine-tuning job {fine_tuning_id[:80]!r}.",
        "GET /v1/fine_tuning/jobs lists those there are.",
    )


async def _shown(job: Job, services: Services) -> dict[str, Any]:
    return await asyncio.to_thread(shown_fine_tuning, job, services.lasting.runs.of(job.id))


def _page(items: list[dict[str, Any]], limit: int, after: str | None) -> dict[str, Any]:
    if after is not None:
        places = [n for n, item in enumerate(items) if item["id"] == after]
        items = items[places[0] + 1 :] if places else []
    return {"object": "list", "data": items[:limit], "has_more": len(items) > limit}


async def _payload(body: FineTuningBody, services: Services, owner: str) -> dict[str, Any]:
    card = services.lifecycle.find(body.model)
    asked = body.hyperparameters or Hyperparameters()
    if body.method is not None:
        asked = body.method.supervised.hyperparameters
    base = card.id.partition("@")[0].rpartition("/")[2]
    parts = ["ft", base[:24], (body.suffix or "")[:LONGEST_SUFFIX], uuid.uuid4().hex[:8]]
    name = "-".join(part for part in parts if part)
    check_served_name(name)
    context = min(BLOCK_SIZE, card.context_length or BLOCK_SIZE)
    recipe = _recipe(body, asked, name=name, base=card.id, context=context)
    await check_recipe(recipe, services, owner)
    return {
        "recipe": recipe,
        "serve_as": name,
        "force": True,  # what was asked for is served; its lineage tells whether it got worse
        "fine_tuning": {
            "model": card.id,
            "training_file": body.training_file,
            "validation_file": body.validation_file,
            "hyperparameters": asked.model_dump(),
            "seed": recipe["seed"],
            "metadata": body.metadata,
        },
    }


def _recipe(
    body: FineTuningBody, asked: Hyperparameters, *, name: str, base: str, context: int
) -> dict[str, Any]:
    """The recipe that the request comes to."""
    multiplier = asked.learning_rate_multiplier
    recipe: dict[str, Any] = {
        "name": name,
        "initial_model": base,
        "method": "lora",
        "lora": {"rank": RANK, "alpha": 2.0 * RANK},
        "data": [{"file": body.training_file}],
        "epochs": float(EPOCHS if asked.n_epochs == "auto" else asked.n_epochs),
        "batch_size": BATCH_SIZE if asked.batch_size == "auto" else asked.batch_size,
        "learning_rate": LEARNING_RATE * (1 if multiplier == "auto" else multiplier),
        "schedule": "cosine",
        "block_size": context,
        "seed": body.seed or 0,
        "validation_fraction": 0.1,
        "export": "best",
        "logging_steps": 1,
        "eval_steps": 50,
        "save_steps": 50,
        "sample_prompts": [],
    }
    if body.validation_file is not None:
        recipe["validation"] = {"file": body.validation_file}
    return recipe
