"""`/evaluations`: start one, follow it, stop it, read its report, hold it against another.

What measures is imported when it is first asked for: a server that never does starts sooner.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.dispatching import dispatch_of
from penstock.api.evaluations.reading import examples_of
from penstock.api.evaluations.running import Evaluations, Record, job_id_of
from penstock.api.evaluations.schemas import (
    ChangesAnswer,
    EvaluationAnswer,
    EvaluationBody,
    EvaluationsAnswer,
)
from penstock.api.json_body import JsonRoute
from penstock.api.owner import OwnerDep
from penstock.api.playground.answers import ErrorAnswer
from penstock.api.services import ServicesDep
from penstock.api.sse import Event, EventStream

LOOK_SECONDS = 0.2  # between two looks at how far it is
FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 404, 409, 422, 429, 503)
}
MEDIA = {"html": "text/html; charset=utf-8", "markdown": "text/markdown; charset=utf-8"}
router = APIRouter(
    route_class=JsonRoute, prefix="/evaluations", tags=["evaluations"], responses=FAILURES
)


async def _evaluations(request: Request) -> Evaluations:
    found: Evaluations = request.app.state.evaluations
    return found


EvaluationsDep = Annotated[Evaluations, Depends(_evaluations)]


@router.get("/tasks", summary="What can be measured")
async def list_tasks() -> dict[str, Any]:
    """Every task, what it finds out, and whether it is done by default."""
    from penstock.evaluation.tasks import DEFAULT_TASKS, TASKS  # noqa: PLC0415  # see above

    return {
        "tasks": [
            {"id": t.id, "description": t.description, "by_default": t.id in DEFAULT_TASKS}
            for t in TASKS.values()
        ]
    }


@router.post("", summary="Evaluate a model", status_code=202, response_model=EvaluationAnswer)
async def start(
    body: EvaluationBody,
    request: Request,
    services: ServicesDep,
    evaluations: EvaluationsDep,
    owner: OwnerDep,
) -> EvaluationAnswer:
    """Have a model measured on rows. Answers at once; `GET /evaluations/{id}` tells how it goes.

    Everything is checked before, and the model is loaded if need be.
    """
    from penstock.api.evaluations import work  # noqa: PLC0415  # see above

    plan = work.plan_of(body, services.defaults)
    examples = await examples_of(body, services, owner)
    name = body.model or services.defaults.model
    texts = await unless_disconnected(request, services.router.texts(name))
    record = Record(
        id="",
        owner=owner,
        model=texts.model.id,
        adapter=body.adapter,
        tasks=plan.tasks,
        data=examples.name,
        created_at=0,
    )
    record = await evaluations.start(record, body)
    dispatch_of(request).submitted(job_id_of(record.id))
    return work.answer_of(record)


@router.get("", summary="The latest evaluations", response_model=EvaluationsAnswer)
async def list_evaluations(evaluations: EvaluationsDep, owner: OwnerDep) -> EvaluationsAnswer:
    """Newest first. They are kept as long as jobs are."""
    from penstock.api.evaluations.work import answer_of  # noqa: PLC0415  # see above

    return EvaluationsAnswer(evaluations=[answer_of(r) for r in await evaluations.of(owner)])


@router.get("/{evaluation_id}", summary="An evaluation", response_model=EvaluationAnswer)
async def show(
    evaluation_id: str, evaluations: EvaluationsDep, owner: OwnerDep
) -> EvaluationAnswer:
    """How far it is, with rate and time left; its figures once it has succeeded."""
    from penstock.api.evaluations.work import answer_of  # noqa: PLC0415  # see above

    return answer_of(await evaluations.get(owner, evaluation_id))


@router.post(
    "/{evaluation_id}/cancel", summary="Stop an evaluation", response_model=EvaluationAnswer
)
async def cancel(
    evaluation_id: str, request: Request, evaluations: EvaluationsDep, owner: OwnerDep
) -> EvaluationAnswer:
    """End it at the next answer. One that has ended stays as it is."""
    from penstock.api.evaluations.work import answer_of  # noqa: PLC0415  # see above

    record = await evaluations.get(owner, evaluation_id)
    dispatch_of(request).cancel(job_id_of(record.id))
    return answer_of(await evaluations.cancel(record))


@router.get(
    "/{evaluation_id}/events",
    summary="Follow an evaluation",
    response_class=Response,
    responses={200: {"description": "Events: `evaluation`.", "content": {"text/event-stream": {}}}},
)
async def follow(evaluation_id: str, evaluations: EvaluationsDep, owner: OwnerDep) -> Response:
    """The evaluation each time something changed, as server-sent events, until it has ended."""
    await evaluations.get(owner, evaluation_id)
    return EventStream(_events(evaluations, owner, evaluation_id), on_close=lambda: None)


@router.get(
    "/{evaluation_id}/report",
    summary="An evaluation's report",
    response_class=Response,
    responses={200: {"content": {kind.partition(";")[0]: {} for kind in MEDIA.values()}}},
)
async def report(
    evaluation_id: str,
    evaluations: EvaluationsDep,
    owner: OwnerDep,
    form: Annotated[
        Literal["json", "markdown", "html"], Query(alias="format", description="Its form.")
    ] = "json",
    against: Annotated[
        list[str], Query(max_length=16, description="Evaluations that come before it in it.")
    ] = [],  # noqa: B006  # FastAPI copies it
) -> Response:
    """Figures, changes and samples as a page, as Markdown, or as JSON with every row."""
    from penstock.api.evaluations.work import refuse_unfinished  # noqa: PLC0415  # see above
    from penstock.evaluation.evaluation import to_json  # noqa: PLC0415
    from penstock.evaluation.report.html import html  # noqa: PLC0415
    from penstock.evaluation.report.markdown import markdown  # noqa: PLC0415

    records = [await evaluations.get(owner, name) for name in (*against, evaluation_id)]
    refuse_unfinished(records)
    found = [await evaluations.evaluation(record) for record in records]
    if form == "json":
        objects = [to_json(evaluation) for evaluation in found]
        return JSONResponse(objects[0] if len(objects) == 1 else {"evaluations": objects})
    write = html if form == "html" else markdown
    text = await asyncio.to_thread(write, found)
    return Response(text, media_type=MEDIA[form])


@router.get(
    "/{evaluation_id}/against/{before_id}", summary="What changed", response_model=ChangesAnswer
)
async def changes(
    evaluation_id: str, before_id: str, evaluations: EvaluationsDep, owner: OwnerDep
) -> ChangesAnswer:
    """Each figure before and after, with the change's interval and how sure it is."""
    from penstock.api.evaluations.work import changes_between, refuse_unfinished  # noqa: PLC0415

    records = [await evaluations.get(owner, name) for name in (before_id, evaluation_id)]
    refuse_unfinished(records)
    before, after = [await evaluations.evaluation(record) for record in records]
    found = await asyncio.to_thread(changes_between, before, after)
    return ChangesAnswer(before=before_id, after=evaluation_id, changes=found)


async def _events(
    evaluations: Evaluations, owner: str, evaluation_id: str
) -> AsyncIterator[list[Event]]:
    from penstock.api.evaluations.work import answer_of  # noqa: PLC0415  # see above

    told: dict[str, Any] | None = None
    while True:
        record = await evaluations.get(owner, evaluation_id)
        ended = record.has_ended
        now = {"event": "evaluation", **answer_of(record).model_dump(mode="json")}
        if now != told:
            yield [now]
            told = now
        if ended:
            return
        await asyncio.sleep(LOOK_SECONDS)
