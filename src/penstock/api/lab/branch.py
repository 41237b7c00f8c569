"""`POST /lab/branch`: a text again up to one of its tokens, and on from there another way."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.openai.asking import in_words_of
from penstock.api.playground.answers import Answer, GenerateAnswer
from penstock.api.playground.asking import Asked
from penstock.api.playground.generate import complete, events
from penstock.api.playground.wire_types import Name, TokenId
from penstock.api.receipts.again import (
    FAILURES,
    AgainFields,
    asked_by,
    find_receipt,
    open_again,
    whole_text,
)
from penstock.api.receipts.receipt import Receipt, request_of
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream, streamed
from penstock.errors import InvalidParameter
from penstock.serving.router import Generation
from penstock.types import MAX_SEED, GenerationRequest

router = APIRouter(route_class=JsonRoute, tags=["lab"], responses=FAILURES)


class BranchBody(AgainFields):
    """`POST /lab/branch`: everything but what is said here stays as it was."""

    receipt: Name = Field(description="The receipt of the result.")
    index: int = Field(0, ge=0, le=7, description="Which of its texts.")
    position: int = Field(ge=0, le=1_000_000, description="How many of its tokens are kept.")
    token_id: TokenId | None = Field(None, description="The token to go on with.")
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Tokens to write at most, the chosen one not counted; else as many as the "
        "text could still have had.",
    )
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Another seed.")


class BranchPoint(Answer):
    """Where a text branches off."""

    receipt: str
    index: int
    position: int
    token_id: int | None
    kept: str = Field(description="What was kept of the text, with the token chosen.")


class BranchAnswer(GenerateAnswer):
    """The answer to a generation, whose texts come after what was kept."""

    branch: BranchPoint


@dataclass(frozen=True, slots=True)
class Branching:
    """A branch under way."""

    asked: Asked
    generation: Generation
    point: BranchPoint

    async def complete(self, services: Services) -> BranchAnswer:
        """The whole answer."""
        answer = await complete(services, self.asked, self.generation)
        return BranchAnswer(**dict(answer), branch=self.point)

    async def events(self, services: Services) -> AsyncIterator[list[Event]]:
        """Events as they come; the first and the last say where the text branches off."""
        point = {"branch": self.point.model_dump()}
        async for batch in events(services, self.asked, self.generation):
            yield [{**e, **point} if e["event"] in ("start", "done") else e for e in batch]


@router.post(
    "/lab/branch",
    summary="On from a token of a result",
    response_model=BranchAnswer,
    responses=streamed(),
)
async def branch(body: BranchBody, request: Request, services: ServicesDep) -> Response:
    """Keep the beginning of a result's text, choose its next token or not, and go on from there."""
    receipt = find_receipt(services, body.receipt, body.document)
    settled = _settled(receipt, body)
    with in_words_of({"prefix": "token_id"}):
        branching = await unless_disconnected(request, _open(services, receipt, settled, body))
    if body.stream:
        closing = branching.generation.outputs.close
        return EventStream(branching.events(services), on_close=closing)
    answer = await unless_disconnected(request, branching.complete(services))
    return Response(answer.model_dump_json(), media_type="application/json")


def _settled(receipt: Receipt, body: BranchBody) -> GenerationRequest:
    """What is asked of the engine: the former request, with the tokens kept behind it."""
    prefix = _prefix(receipt, body)
    former = request_of(receipt.decided, f"gen_{uuid.uuid4().hex}")
    num_more = len(prefix) - len(former.prefix)
    max_new_tokens = body.max_new_tokens or max(1, receipt.decided.max_new_tokens - num_more)
    return replace(
        former,
        prefix=prefix,
        max_new_tokens=max_new_tokens,
        min_new_tokens=min(max_new_tokens, max(0, former.min_new_tokens - num_more)),
        seed=former.seed if body.seed is None else body.seed,
        logprobs=body.logprobs,
        trace=body.trace,
    )


def _prefix(receipt: Receipt, body: BranchBody) -> tuple[int, ...]:
    if body.index >= len(receipt.token_ids):
        raise InvalidParameter(
            f"index={body.index} is past the last text.",
            f"Use 0 to {len(receipt.token_ids) - 1}.",
            param="index",
        )
    token_ids = receipt.token_ids[body.index]
    if body.position > len(token_ids):
        raise InvalidParameter(
            f"position={body.position} is past the end of text {body.index}.",
            f"Use 0 to {len(token_ids)}.",
            param="position",
        )
    chosen = () if body.token_id is None else (body.token_id,)
    return (*receipt.decided.prefix, *token_ids[: body.position], *chosen)


async def _open(
    services: Services, receipt: Receipt, settled: GenerationRequest, body: BranchBody
) -> Branching:
    generation = await open_again(
        services, receipt, settled, allow_differences=body.allow_differences
    )
    try:
        texts = await services.router.texts(settled.model)
        opening, kept = await whole_text(texts, settled)
    except BaseException:
        generation.outputs.close()
        raise
    point = BranchPoint(
        receipt=receipt.receipt,
        index=body.index,
        position=body.position,
        token_id=body.token_id,
        kept=kept,
    )
    return Branching(asked_by(settled, opening), generation, point)
