"""`/training/runs`: have a model trained, follow it, stop it, fetch what it left behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import FileResponse, Response

from penstock.api.dispatching import dispatch_of
from penstock.api.json_body import JsonRoute
from penstock.api.openai.lists import After
from penstock.api.owner import OwnerDep
from penstock.api.permission import check_permission
from penstock.api.playground.answers import ErrorAnswer
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream, streamed
from penstock.api.training.asking import TrainingBody, payload_of
from penstock.api.training.presenting import RunAnswer, RunsAnswer, seconds_left, shown_run
from penstock.errors import UnknownFile, UnknownRun
from penstock.jobs.job import ENDED, Job
from penstock.jobs.store import NewJob
from penstock.jobs.trainings.handler import FINE_TUNING, KIND
from penstock.storage.paging import Page

LOOK_SECONDS = 0.3
FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 403, 404, 409, 413, 415, 422, 429, 503)
}
router = APIRouter(
    route_class=JsonRoute, prefix="/training/runs", tags=["training"], responses=FAILURES
)


@router.post(
    "",
    summary="Train a model",
    status_code=202,
    response_model=RunAnswer,
    dependencies=[Depends(check_permission)],
)
async def create_run(
    body: TrainingBody,
    request: Request,
    services: ServicesDep,
    owner: OwnerDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> RunAnswer:
    """Accept a recipe, to be carried out in the background and through restarts.

    For who may change models. One run goes on at a time; others wait.
    """
    payload = await payload_of(body, services, owner)
    new = NewJob(owner=owner, kind=KIND, payload=payload, idempotency_key=idempotency_key)
    job = await services.lasting.jobs.create(new)
    dispatch_of(request).submitted(job.id)
    return await _shown(job, services)


@router.get("", summary="The training runs there are", response_model=RunsAnswer)
async def list_runs(
    services: ServicesDep,
    owner: OwnerDep,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 20,
    after: After = None,
) -> RunsAnswer:
    """Your runs, the newest first."""
    page = Page(limit=limit, after=after)
    found, has_more = await services.lasting.jobs.page(owner, page, kind=KIND)
    return RunsAnswer(data=[await _shown(job, services) for job in found], has_more=has_more)


@router.get("/{run_id}", summary="One training run", response_model=RunAnswer)
async def show_run(run_id: str, services: ServicesDep, owner: OwnerDep) -> RunAnswer:
    """How far it is, with loss, rate and time left; and what came of it."""
    return await _shown(await find_run(services, owner, run_id), services)


@router.post(
    "/{run_id}/cancel",
    summary="Cancel a training run",
    response_model=RunAnswer,
    dependencies=[Depends(check_permission)],
)
async def cancel_run(
    run_id: str, request: Request, services: ServicesDep, owner: OwnerDep
) -> RunAnswer:
    """End it within a step. What it learnt so far is kept among its artefacts."""
    await find_run(services, owner, run_id)
    job = await services.lasting.jobs.cancel(owner, run_id)
    dispatch_of(request).cancel(job.id)
    return await _shown(job, services)


@router.get("/{run_id}/events", summary="Follow a training run", responses=streamed())
async def follow_run(run_id: str, services: ServicesDep, owner: OwnerDep) -> Response:
    """What it logs (`train` with `seconds_left`, `validation`, `sample`, `score`), from its begin.

    As server-sent events, with `run` whenever its state changed; the last one is such.
    """
    await find_run(services, owner, run_id)
    return EventStream(_events(services, owner, run_id), on_close=lambda: None)


@router.get("/{run_id}/artefacts/{name:path}", summary="Fetch what a training run left behind")
async def fetch_artefact(
    run_id: str, name: str, services: ServicesDep, owner: OwnerDep
) -> FileResponse:
    """A file that the run lists: report, curves, log, model or adapter."""
    await find_run(services, owner, run_id)
    folder = services.lasting.runs.of(run_id)
    found = {path.as_posix(): path for path in await asyncio.to_thread(folder.artefacts)}
    if name not in found:
        raise UnknownFile(
            f"The run has no artefact {name[:80]!r}.", f"It has {', '.join(found) or 'none'}."
        )
    return FileResponse(
        folder.path / found[name],
        media_type="application/octet-stream",
        filename=found[name].name,  # to be kept, never shown as a page of this server
    )


async def find_run(services: Services, owner: str, run_id: str) -> Job:
    """The run, however it was asked for. Raises `UnknownRun` or `UnknownJob`."""
    job = await services.lasting.jobs.get(owner, run_id)
    if job.kind not in (KIND, FINE_TUNING):
        raise UnknownRun(f"{run_id} is no training run.", "GET /training/runs lists those.")
    return job


async def _shown(job: Job, services: Services) -> RunAnswer:
    return await asyncio.to_thread(shown_run, job, services.lasting.runs.of(job.id))


async def _events(services: Services, owner: str, run_id: str) -> AsyncIterator[list[Event]]:
    folder = services.lasting.runs.of(run_id)
    told, state = 0, None
    while True:
        job = await find_run(services, owner, run_id)
        logged = await asyncio.to_thread(folder.events)
        record = await asyncio.to_thread(folder.record)
        told = min(told, len(logged))  # steps that were lost with a server are logged anew
        news: list[Event] = []
        for event in logged[told:]:
            left = {}
            if event["event"] == "train" and record.get("max_steps"):
                left = {"seconds_left": seconds_left(event, record["max_steps"])}
            news.append({**event, **left})
        told = len(logged)
        if job.state is not state:
            state = job.state
            news.append({"event": "run", **(await _shown(job, services)).model_dump(mode="json")})
        if news:
            yield news
        if job.state in ENDED:
            return
        await asyncio.sleep(LOOK_SECONDS)
