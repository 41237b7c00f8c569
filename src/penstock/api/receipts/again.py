"""What goes on from a receipt has in common: where it comes from, and that nothing has changed."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from penstock.api.playground.answers import ErrorAnswer
from penstock.api.playground.asking import Asked
from penstock.api.playground.schemas import GenerationFields, Strict
from penstock.api.receipts.differing import differences, refusal
from penstock.api.receipts.receipt import Receipt, circumstances, name_of
from penstock.api.services import Services
from penstock.decoding.strategies import STRATEGIES
from penstock.errors import InvalidParameter
from penstock.serving.model_texts import ModelTexts
from penstock.serving.models import ServedModel
from penstock.serving.router import Generation
from penstock.types import MAX_LOGPROBS, GenerationRequest

LONGEST_SHOWN = 80
FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 404, 409, 422, 503)
}


class AgainFields(Strict):
    """What can be asked of whatever goes on from a receipt."""

    document: Receipt | None = Field(
        None,
        description="The receipt itself, as `GET /receipts/{receipt}` gave it, where this server "
        "does not keep it (any more).",
    )
    allow_differences: bool = Field(
        False, description="Write what comes now, even if something has changed since."
    )
    stream: bool = Field(False, description="Send the text as it is written, as events.")
    logprobs: int | None = Field(
        None,
        ge=0,
        le=MAX_LOGPROBS,
        description="How many alternatives to report beside each token.",
    )
    trace: int | None = Field(
        None,
        ge=0,
        le=MAX_LOGPROBS,
        description="What every step of the chain kept, so many candidates each.",
    )


def find_receipt(services: Services, name: str, sent: Receipt | None) -> Receipt:
    """The receipt that was sent, else the one that is kept. Raises `ReceiptNotFound`."""
    if sent is None:
        return services.receipts.get(name)
    if not name == sent.receipt == name_of(sent.decided):
        raise InvalidParameter(
            f"The document is not that of {name[:LONGEST_SHOWN]!r}: by what is in it, it is "
            f"{name_of(sent.decided)}.",
            "Send it as it was given, under its own name.",
            param="document",
        )
    return sent


async def open_again(
    services: Services, receipt: Receipt, settled: GenerationRequest, *, allow_differences: bool
) -> Generation:
    """Have the engine start on it, unless something differs. The caller must close the outputs."""

    def build(model: ServedModel) -> GenerationRequest:
        differing = differences(receipt.decided, circumstances(model))
        if differing and not allow_differences:
            raise refusal(differing)
        return (
            replace(settled, adapter_digest=None, attribute_digest=None)
            if allow_differences
            else settled
        )

    return await services.router.submit(settled.model, settled.num_sequences, build)


def asked_by(request: GenerationRequest, opening: str) -> Asked:
    """A settled request as the presenter knows those that a client makes."""
    fields = {
        "adapter": request.adapter,
        "logprobs": request.logprobs,
        "trace": request.trace,
    }
    return Asked(
        request_id=request.request_id,
        model=request.model,
        prompt=opening,
        fields=GenerationFields.model_validate(fields),
        strategy=STRATEGIES[request.strategy],
        params=request.params,
        num_sequences=request.num_sequences,
        max_length=request.max_length,
        unused=(),
        steps=(),
    )


async def whole_text(texts: ModelTexts, request: GenerationRequest) -> tuple[str, str]:
    """The prompt with the prefix behind it, and the prefix alone.

    An encoder-decoder's prefix does not continue the prompt.
    """
    prompt = request.prompt
    if isinstance(prompt, str):
        before: Sequence[int] = (await texts.tokenize(prompt)).token_ids
        opening = prompt
    else:
        before, opening = prompt, await texts.detokenize(prompt)
    if not texts.model.continues_prompt:
        return opening, await texts.detokenize(request.prefix)
    num_before = len(await texts.detokenize(before))
    kept = (await texts.detokenize((*before, *request.prefix)))[num_before:]
    return opening + kept, kept
