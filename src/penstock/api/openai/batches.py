"""`/v1/batches`: many requests in a file, answered in the background."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import Field

from penstock.api.dispatching import dispatch_of
from penstock.api.openai.lists import After, shown_list, without_nothing
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.openai.uploading import LONGEST_LIFE, SHORTEST_LIFE
from penstock.api.owner import OwnerDep
from penstock.api.permission import check_origin
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Text
from penstock.api.services import ServicesDep
from penstock.jobs.batches.batch import Batch, NewBatch
from penstock.storage.paging import Page

LabelName = Annotated[Text, Field(min_length=1, max_length=64)]
Label = Annotated[Text, Field(max_length=512)]

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


class ExpiresAfter(Strict):
    """How long the files that a batch writes are kept."""

    anchor: Literal["created_at"] = Field(description="Counted from when they are written.")
    seconds: int = Field(ge=SHORTEST_LIFE, le=LONGEST_LIFE, description="For so long.")


class BatchBody(Strict):
    """A request for a batch."""

    input_file_id: Text = Field(max_length=64, description="The file with the requests.")
    endpoint: Literal[
        "/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions"
    ] = Field(description="What all of its requests ask.")
    completion_window: Literal["24h"] = Field(description="Requests that wait longer expire.")
    metadata: Annotated[dict[LabelName, Label], Field(max_length=16)] | None = Field(
        None, description="Labels of your own."
    )
    output_expires_after: ExpiresAfter | None = Field(
        None, description="How long the output is kept; until it is deleted if left out."
    )


@router.post("/batches", summary="Start a batch", responses=FAILURES)
async def create_batch(
    body: BatchBody,
    request: Request,
    services: ServicesDep,
    owner: OwnerDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> dict[str, Any]:
    """Check the file and answer its requests, in the background and through restarts.

    With an `Idempotency-Key` that was used before, the batch that was started then.
    """
    expires = body.output_expires_after
    new = NewBatch(
        owner=owner,
        endpoint=body.endpoint,
        input_file_id=body.input_file_id,
        completion_window=body.completion_window,
        labels=body.metadata,
        output_lifetime_seconds=None if expires is None else expires.seconds,
        idempotency_key=idempotency_key,
    )
    batch = await services.lasting.batches.create(new)
    dispatch_of(request).submitted(batch.job_id)
    return shown_batch(batch)


@router.get("/batches", summary="The batches there are", responses=FAILURES)
async def list_batches(
    services: ServicesDep,
    owner: OwnerDep,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 20,
    after: After = None,
) -> dict[str, Any]:
    """The newest first."""
    page = Page(limit=limit, after=after)
    batches, has_more = await services.lasting.batches.page(owner, page)
    return shown_list([shown_batch(batch) for batch in batches], has_more=has_more)


@router.get("/batches/{batch_id}", summary="One batch", responses=FAILURES)
async def retrieve_batch(batch_id: str, services: ServicesDep, owner: OwnerDep) -> dict[str, Any]:
    """How far it is."""
    return shown_batch(await services.lasting.batches.get(owner, batch_id))


@router.post(
    "/batches/{batch_id}/cancel",
    summary="Cancel a batch",
    responses=FAILURES,
    dependencies=[Depends(check_origin)],  # it has no body, so any page may send it
)
async def cancel_batch(
    batch_id: str, request: Request, services: ServicesDep, owner: OwnerDep
) -> dict[str, Any]:
    """Ask no further request; the answers there are, are kept."""
    batch = await services.lasting.batches.cancel(owner, batch_id)
    dispatch_of(request).cancel(batch.job_id)
    return shown_batch(batch)


def shown_batch(batch: Batch) -> dict[str, Any]:
    """A batch as OpenAI shows one."""
    errors = None if batch.errors is None else {"object": "list", "data": list(batch.errors)}
    times = {name: int(seconds) for name, seconds in batch.times.items()}
    return without_nothing(
        {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "errors": errors,
            "input_file_id": batch.input_file_id,
            "completion_window": batch.completion_window,
            "status": batch.status.value,
            "output_file_id": batch.output_file_id,
            "error_file_id": batch.error_file_id,
            "created_at": int(batch.created_at),
            "expires_at": int(batch.expires_at),
            **times,
            "request_counts": {
                "total": batch.total,
                "completed": batch.completed,
                "failed": batch.failed,
            },
            "metadata": batch.labels,
        }
    )
