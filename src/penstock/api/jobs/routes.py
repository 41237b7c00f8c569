"""`/jobs`: start, list, follow and cancel jobs of any kind."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import Field
from starlette.responses import Response

from penstock.api.dispatching import dispatch_of
from penstock.api.jobs.events import FRAMING, events_of
from penstock.api.jobs.kinds import KINDS
from penstock.api.jobs.presenting import JobAnswer, JobList, shown_job
from penstock.api.json_body import JsonRoute
from penstock.api.openai.lists import After
from penstock.api.owner import OwnerDep
from penstock.api.permission import check_origin
from penstock.api.playground.answers import ErrorAnswer
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Text
from penstock.api.services import ServicesDep
from penstock.api.sse import EventStream, streamed
from penstock.errors import InvalidParameter
from penstock.jobs.job import JobState, Webhook
from penstock.jobs.store import NewJob
from penstock.jobs.webhooks.addresses import LONGEST_URL, target_of
from penstock.jobs.webhooks.signing import key_of
from penstock.storage.paging import Page

FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 403, 404, 409, 413, 415, 422, 429, 503)
}
SHORTEST_SECRET = 24
MAX_EVENT_NUMBER = 2**31 - 1

router = APIRouter(route_class=JsonRoute, tags=["jobs"], responses=FAILURES)


class WebhookBody(Strict):
    """Who is told that the job has ended."""

    url: Text = Field(max_length=LONGEST_URL, description="Where that is posted, by http or https.")
    secret: Text = Field(
        min_length=SHORTEST_SECRET,
        max_length=256,
        description="Signs what is posted: a text, or `whsec_` and a key in Base64. Never shown.",
    )


class JobBody(Strict):
    """A request for a job."""

    kind: Text = Field(max_length=32, description="What sort of work it is: `generation`.")
    payload: dict[str, Any] = Field(
        description="What is to be done. Of a generation: `endpoint` and `body` of the request."
    )
    webhook: WebhookBody | None = Field(None, description="Who is told that the job has ended.")


@router.post("/jobs", status_code=202, summary="Start a job", response_model=JobAnswer)
async def create_job(
    body: JobBody,
    request: Request,
    services: ServicesDep,
    owner: OwnerDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JobAnswer:
    """Accept work that is done in the background, through restarts.

    With an `Idempotency-Key` that was used before, the job that was started then.
    """
    _check_payload(body)
    webhook = _webhook(body.webhook, allow_private=services.lasting.private_webhooks)
    new = NewJob(
        owner=owner,
        kind=body.kind,
        payload=body.payload,
        idempotency_key=idempotency_key,
        webhook=webhook,
    )
    job = await services.lasting.jobs.create(new)
    dispatch_of(request).submitted(job.id)
    return shown_job(job)


@router.get("/jobs", summary="The jobs there are", response_model=JobList)
async def list_jobs(
    services: ServicesDep,
    owner: OwnerDep,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 20,
    after: After = None,
    kind: Annotated[
        str | None, Query(pattern="^[a-z_]{1,32}$", description="Only of this kind.")
    ] = None,
    state: Annotated[JobState | None, Query(description="Only in this state.")] = None,
) -> JobList:
    """The newest first, batches among them."""
    page = Page(limit=limit, after=after)
    found, has_more = await services.lasting.jobs.page(owner, page, kind=kind, state=state)
    return JobList(data=[shown_job(job) for job in found], has_more=has_more)


@router.get("/jobs/{job_id}", summary="One job", response_model=JobAnswer)
async def show_job(job_id: str, services: ServicesDep, owner: OwnerDep) -> JobAnswer:
    """How far it is, and what came of it."""
    return shown_job(await services.lasting.jobs.get(owner, job_id))


@router.get("/jobs/{job_id}/events", summary="Follow a job", responses=streamed())
async def follow_job(
    job_id: str,
    services: ServicesDep,
    owner: OwnerDep,
    last_event_id: Annotated[int, Header(ge=0, le=MAX_EVENT_NUMBER)] = 0,
) -> Response:
    """What happens to it, as server-sent events with ids; the last has the whole job.

    With `Last-Event-ID` only what came after that.
    """
    await services.lasting.jobs.get(owner, job_id)
    events = events_of(services.lasting.jobs, owner, job_id, after=last_event_id)
    return EventStream(events, on_close=lambda: None, framing=FRAMING)


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Cancel a job",
    response_model=JobAnswer,
    dependencies=[Depends(check_origin)],  # it has no body, so any page may send it
)
async def cancel_job(
    job_id: str, request: Request, services: ServicesDep, owner: OwnerDep
) -> JobAnswer:
    """Ask for its end; one that was not begun ends at once. A job that has ended stays as it is."""
    job = await services.lasting.jobs.cancel(owner, job_id)
    dispatch_of(request).cancel(job.id)
    return shown_job(job)


def _check_payload(body: JobBody) -> None:
    check = KINDS[body.kind].check if body.kind in KINDS else None
    if check is None:
        startable = [name for name, kind in KINDS.items() if kind.check is not None]
        raise InvalidParameter(
            f"kind={body.kind!r} cannot be started here.",
            f"Use one of {', '.join(startable)}.",
            param="kind",
        )
    check(body.payload)


def _webhook(body: WebhookBody | None, *, allow_private: bool) -> Webhook | None:
    if body is None:
        return None
    target_of(body.url, allow_private=allow_private)
    try:
        key_of(body.secret)
    except ValueError as error:
        raise InvalidParameter(
            f"webhook.secret cannot be used: {error}.",
            "Send a text of at least 24 characters, or whsec_ and a key in Base64.",
            param="webhook.secret",
        ) from error
    return Webhook(url=body.url, secret=body.secret)
