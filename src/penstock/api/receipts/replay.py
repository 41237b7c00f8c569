"""`GET /receipts/{receipt}` and `POST /replay/{receipt}`: the same text again."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import ErrorAnswer, GenerateAnswer
from penstock.api.playground.asking import Asked
from penstock.api.playground.presenting import Presenter
from penstock.api.playground.schemas import GenerationFields, Strict
from penstock.api.receipts.differing import DifferenceAnswer, differences, refusal
from penstock.api.receipts.receipt import Receipt, circumstances, name_of, request_of
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream
from penstock.decoding.strategies import STRATEGIES
from penstock.errors import InvalidParameter
from penstock.serving.models import ServedModel
from penstock.serving.router import Generation
from penstock.types import EngineOutput, GenerationRequest, RequestFinished

FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 404, 409, 422, 503)
}
router = APIRouter(route_class=JsonRoute, tags=["receipts"], responses=FAILURES)


class WithReceipt(Strict):
    """What goes on from a receipt."""

    receipt: Receipt | None = Field(
        None,
        description="The receipt itself, as `GET /receipts/{receipt}` gave it, where this server "
        "does not keep it (any more).",
    )


class ReplayBody(WithReceipt):
    """`POST /replay/{receipt}`. May be left out."""

    allow_differences: bool = Field(
        False, description="Write what comes now, even if something has changed since."
    )
    stream: bool = Field(False, description="Send the text as it is written, as events.")
    logprobs: int | None = Field(
        None, ge=0, le=20, description="How many alternatives to report beside each token."
    )
    trace: int | None = Field(
        None, ge=0, le=20, description="What every step of the chain kept, so many candidates each."
    )


class ReplayAnswer(GenerateAnswer):
    """The answer to a generation, and whether it is as it was."""

    is_same: bool = Field(description="Every text has the tokens it had.")
    differences: list[DifferenceAnswer]


@router.get("/receipts/{receipt}", summary="What decided a text", response_model=Receipt)
async def show_receipt(receipt: str, services: ServicesDep) -> Receipt:
    """All that decided a text, and its tokens. Can be sent to `POST /replay` of any server."""
    return services.receipts.get(receipt)


@router.post("/replay/{receipt}", summary="The same text again", response_model=ReplayAnswer)
async def replay(
    receipt: str, request: Request, services: ServicesDep, body: ReplayBody | None = None
) -> Response:
    """Write the texts of a receipt again. If something has changed since, a 409 says what."""
    body = body or ReplayBody()
    kept = find_receipt(services, receipt, body)
    replaying = await unless_disconnected(request, _open(services, kept, body))
    if body.stream:
        return EventStream(replaying.events(services), on_close=replaying.generation.outputs.close)
    answer = await unless_disconnected(request, replaying.complete(services))
    return Response(answer.model_dump_json(), media_type="application/json")


def find_receipt(services: Services, name: str, body: WithReceipt) -> Receipt:
    """The receipt that was sent, else the one that is kept. Raises `ReceiptNotFound`."""
    if body.receipt is None:
        return services.receipts.get(name)
    if not name == body.receipt.receipt == name_of(body.receipt.decided):
        raise InvalidParameter(
            f"The receipt that was sent is not {name[:80]!r}: by what is in it, it is "
            f"{name_of(body.receipt.decided)}.",
            "Send it as it was given, under its own name.",
            param="receipt",
        )
    return body.receipt


def asked_by(
    request: GenerationRequest, prompt: str, logprobs: int | None, trace: int | None
) -> Asked:
    """A settled request as the presenter knows those that a client makes."""
    return Asked(
        request_id=request.request_id,
        model=request.model,
        prompt=prompt,
        fields=GenerationFields.model_validate({"logprobs": logprobs, "trace": trace}),
        strategy=STRATEGIES[request.strategy],
        params=request.params,
        num_sequences=request.num_sequences,
        max_length=request.max_length,
        unused=(),
        steps=(),
    )


async def prompt_text(services: Services, receipt: Receipt) -> str:
    """The prompt as a text."""
    prompt = receipt.decided.prompt
    if isinstance(prompt, str):
        return prompt
    texts = await services.router.texts(receipt.decided.model)
    return await texts.detokenize(prompt)


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
            differences=differences(self.receipt.decided, circumstances(self.generation.model)),
        )


async def _open(services: Services, receipt: Receipt, body: ReplayBody) -> Replaying:
    """Have the engine start on it, unless something differs."""
    settled = replace(
        request_of(receipt.decided, f"gen_{uuid.uuid4().hex}"),
        logprobs=body.logprobs,
        trace=body.trace,
    )

    def build(model: ServedModel) -> GenerationRequest:
        differing = differences(receipt.decided, circumstances(model))
        if differing and not body.allow_differences:
            raise refusal(differing)
        return settled

    generation = await services.router.submit(settled.model, settled.num_sequences, build)
    try:
        prompt = await prompt_text(services, receipt)
    except BaseException:
        generation.outputs.close()
        raise
    asked = asked_by(settled, prompt, body.logprobs, body.trace)
    return Replaying(receipt, generation, Presenter(asked, generation))
