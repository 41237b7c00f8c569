"""`GET /receipts/{receipt}` and `POST /replay/{receipt}`: the same text again."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import GenerateAnswer
from penstock.api.playground.presenting import Presenter
from penstock.api.receipts.again import (
    FAILURES,
    AgainFields,
    asked_by,
    find_receipt,
    open_again,
    whole_text,
)
from penstock.api.receipts.differing import DifferenceAnswer, differences
from penstock.api.receipts.receipt import Receipt, request_of
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream, streamed
from penstock.serving.router import Generation
from penstock.types import EngineOutput, GenerationRequest, RequestFinished

router = APIRouter(route_class=JsonRoute, tags=["receipts"], responses=FAILURES)


class ReplayBody(AgainFields):
    """`POST /replay/{receipt}`. May be left out."""


class ReplayAnswer(GenerateAnswer):
    """The answer to a generation, and whether it is as it was."""

    is_same: bool = Field(description="Every text has the tokens it had.")
    differences: list[DifferenceAnswer]


@router.get("/receipts/{receipt}", summary="What decided a text", response_model=Receipt)
async def show_receipt(receipt: str, services: ServicesDep) -> Receipt:
    """All that decided a text, and its tokens. Can be sent to `POST /replay` of any server."""
    return services.receipts.get(receipt)


@router.post(
    "/replay/{receipt}",
    summary="The same text again",
    response_model=ReplayAnswer,
    responses=streamed(),
)
async def replay(
    receipt: str, request: Request, services: ServicesDep, body: ReplayBody | None = None
) -> Response:
    """Write the texts of a receipt again. If something has changed since, a 409 says what."""
    body = body or ReplayBody()
    kept = find_receipt(services, receipt, body.document)
    replaying = await unless_disconnected(request, _open(services, kept, body))
    if body.stream:
        return EventStream(replaying.events(services), on_close=replaying.generation.outputs.close)
    answer = await unless_disconnected(request, replaying.complete(services))
    return Response(answer.model_dump_json(), media_type="application/json")


async def _opening(services: Services, settled: GenerationRequest) -> str:
    """What the text goes on from."""
    if isinstance(settled.prompt, str) and not settled.prefix:
        return settled.prompt
    texts = await services.router.texts(settled.model)
    return (await whole_text(texts, settled))[0]


@dataclass(frozen=True, slots=True)
class Replaying:
    """A replay under way."""

    receipt: Receipt
    generation: Generation
    presenter: Presenter

    async def complete(self, services: Services) -> ReplayAnswer:
        """The whole answer. Closes the outputs, so that being cancelled frees the engine."""
        try:
            async for output in self.generation.outputs:
                self.presenter.event(output)
        finally:
            self.generation.outputs.close()
        services.receipts.put(self.presenter.receipt)
        return self._answer()

    async def events(self, services: Services) -> AsyncIterator[list[Event]]:
        """Events as they come; the last has the whole answer."""
        while not self.generation.outputs.is_read:
            outputs = await self.generation.outputs.read()
            yield [self._event(services, output) for output in outputs]

    def _event(self, services: Services, output: EngineOutput) -> Event:
        event = self.presenter.event(output)
        if not isinstance(output, RequestFinished):
            return event
        services.receipts.put(self.presenter.receipt)
        return {"event": "done", **self._answer().model_dump()}

    def _answer(self) -> ReplayAnswer:
        return ReplayAnswer(
            **dict(self.presenter.answer()),
            is_same=self.presenter.receipt.token_ids == self.receipt.token_ids,
            differences=differences(self.receipt.decided, self.presenter.receipt.decided),
        )


async def _open(services: Services, receipt: Receipt, body: ReplayBody) -> Replaying:
    """Have the engine start on it, unless something differs."""
    settled = replace(
        request_of(receipt.decided, f"gen_{uuid.uuid4().hex}"),
        logprobs=body.logprobs,
        trace=body.trace,
    )
    generation = await open_again(
        services, receipt, settled, allow_differences=body.allow_differences
    )
    try:
        opening = await _opening(services, settled)
    except BaseException:
        generation.outputs.close()
        raise
    return Replaying(receipt, generation, Presenter(asked_by(settled, opening), generation))
