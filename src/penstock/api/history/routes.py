"""`/history`: what was generated for you, to read, search, export and delete."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from penstock.api.accounts.answers import as_time
from penstock.api.accounts.visiting import FAILURES
from penstock.api.json_body import JsonRoute
from penstock.api.owner import OwnerDep
from penstock.api.playground.answers import Answer
from penstock.api.services import ServicesDep
from penstock.serving.records.history import HistoryStore, Kept
from penstock.storage.paging import Page

router = APIRouter(route_class=JsonRoute, tags=["history"], responses=FAILURES)
JSONL = "application/jsonl"


class KeptAnswer(Answer):
    """A request and what was generated for it."""

    id: str
    created_at: str
    model: str
    outcome: str = Field(description="`completed`, `cached`, `cancelled` or `failed`.")
    prompt: str = Field(description="What the model saw; token ids as a JSON list.")
    texts: list[str]
    parameters: dict[str, Any] = Field(description="What decided the texts, as in the receipt.")
    receipt: str | None
    key: str | None = Field(description="The id of the key it was asked with.")
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class HistoryAnswer(Answer):
    """A page of the history."""

    entries: list[KeptAnswer]
    has_more: bool = Field(description="Ask for the next with `after`, the last one's id.")


class DeletedAnswer(Answer):
    """How many were deleted."""

    deleted: int


Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=64, description="The id of the last one seen.")]
Order = Annotated[Literal["asc", "desc"], Query(description="`desc`: the newest first.")]
KeptId = Annotated[str, Path(max_length=64)]


@router.get("/history", summary="What was generated", response_model=HistoryAnswer)
async def list_history(
    services: ServicesDep,
    owner: OwnerDep,
    limit: Limit = 20,
    after: After = None,
    order: Order = "desc",
) -> HistoryAnswer:
    """What was generated for you. A request with `Cache-Control: no-store` is not kept."""
    return await _page(services, owner, Page(limit=limit, after=after, order=order), None)


@router.get("/history/search", summary="Search the history", response_model=HistoryAnswer)
async def search_history(
    services: ServicesDep,
    owner: OwnerDep,
    q: Annotated[str, Query(min_length=1, max_length=500, description="Words, all of them.")],
    limit: Limit = 20,
    after: After = None,
) -> HistoryAnswer:
    """What holds all these words, in the prompt or in a text, the newest first."""
    return await _page(services, owner, Page(limit=limit, after=after), q)


@router.get(
    "/history/export",
    summary="Export the history",
    response_class=StreamingResponse,
    responses={200: {"content": {JSONL: {}}, "description": "One JSON object a line."}},
)
async def export_history(services: ServicesDep, owner: OwnerDep) -> StreamingResponse:
    """All of your history as JSON lines, the oldest first."""
    await services.records.ledger.flush()
    return StreamingResponse(
        _lines(services.records.history, owner),
        media_type=JSONL,
        headers={"Content-Disposition": 'attachment; filename="history.jsonl"'},
    )


@router.get("/history/{kept_id}", summary="One of the history", response_model=KeptAnswer)
async def show_kept(kept_id: KeptId, services: ServicesDep, owner: OwnerDep) -> KeptAnswer:
    """One request and what was generated for it."""
    await services.records.ledger.flush()
    return _answer(await services.records.history.get(owner, kept_id))


@router.delete("/history/{kept_id}", summary="Delete one of the history", status_code=204)
async def delete_kept(kept_id: KeptId, services: ServicesDep, owner: OwnerDep) -> None:
    """Delete it for good."""
    await services.records.ledger.flush()
    await services.records.history.delete(owner, kept_id)


@router.delete("/history", summary="Delete the history", response_model=DeletedAnswer)
async def delete_history(services: ServicesDep, owner: OwnerDep) -> DeletedAnswer:
    """Delete all of your history for good. What was used stays counted."""
    await services.records.ledger.flush()
    return DeletedAnswer(deleted=await services.records.history.delete_all(owner))


async def _page(services: ServicesDep, owner: str, page: Page, words: str | None) -> HistoryAnswer:
    await services.records.ledger.flush()
    found, has_more = await services.records.history.page(owner, page, words=words)
    return HistoryAnswer(entries=[_answer(kept) for kept in found], has_more=has_more)


async def _lines(history: HistoryStore, owner: str) -> AsyncIterator[bytes]:
    async for kept in history.all(owner):
        line = json.dumps(_answer(kept).model_dump(), ensure_ascii=False)
        yield line.encode() + b"\n"


def _answer(kept: Kept) -> KeptAnswer:
    return KeptAnswer(
        id=kept.id,
        created_at=as_time(kept.created_at),
        model=kept.model,
        outcome=kept.outcome,
        prompt=kept.prompt,
        texts=kept.texts or [kept.text],
        parameters=kept.parameters,
        receipt=kept.receipt,
        key=kept.key_id or None,
        prompt_tokens=kept.prompt_tokens,
        completion_tokens=kept.completion_tokens,
        seconds=kept.seconds,
    )
