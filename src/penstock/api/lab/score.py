"""`POST /lab/score` and `POST /lab/tokenize`: how likely a model finds a text, token by token."""

import math
import uuid
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.openai.asking import in_words_of
from penstock.api.playground.answers import Answer, TokenAnswer
from penstock.api.playground.asking import words_named
from penstock.api.playground.generate import FAILURES
from penstock.api.playground.presenting import LOWEST_LOGPROB, token_answer
from penstock.api.playground.schemas import (
    ADAPTER,
    KEEP_ALIVE,
    NAMED_TOKENS,
    NamedTokens,
    Strict,
)
from penstock.api.playground.wire_types import KeepAlive, Name, Text
from penstock.api.services import Services, ServicesDep
from penstock.serving.models import ServedModel
from penstock.serving.router import Generation
from penstock.types import MAX_LOGPROBS, ChosenLogprob, GenerationRequest, PromptScored

router = APIRouter(route_class=JsonRoute, tags=["lab"])

TextField = Annotated[Text, Field(min_length=1, description="The text.")]


class TextBody(Strict):
    """A text for a model."""

    text: TextField
    model: Name | None = Field(None, description="An id from `GET /models`; else the default.")


class ScoreBody(TextBody):
    """`POST /lab/score`."""

    adapter: Name | None = ADAPTER
    keep_alive: KeepAlive | None = KEEP_ALIVE
    top: int = Field(
        0, ge=0, le=MAX_LOGPROBS, description="How many of the likeliest tokens beside each."
    )
    named_tokens: NamedTokens | None = NAMED_TOKENS


class TextTokenAnswer(Answer):
    """A token of a text."""

    token: str
    token_id: int


class ScoredTokenAnswer(TextTokenAnswer):
    """A token of a text, how likely it was, and what would have been likeliest."""

    logprob: float | None = Field(description="Null for the first: nothing comes before it.")
    top: list[TokenAnswer]
    named: list[TokenAnswer] | None = Field(
        None,
        description="With `named_tokens`, in their order.",
        exclude_if=lambda named: named is None,
    )


class ScoreAnswer(Answer):
    """How likely a model finds a text. Logarithms are natural."""

    model: str
    num_tokens: int
    num_scored: int = Field(description="All tokens but the first.")
    logprob: float = Field(description="Of all scored tokens together.")
    mean_logprob: float | None = Field(description="Per scored token.")
    perplexity: float | None = Field(
        description="Among how many equally likely tokens each choice was, on average; null where "
        "nothing is scored or the number is too large to be written."
    )
    tokens: list[ScoredTokenAnswer]


class TokenizeAnswer(Answer):
    """A text's tokens, as a prompt has them."""

    model: str
    num_tokens: int
    num_characters: int
    context_length: int = Field(description="How many tokens fit the model.")
    tokens: list[TextTokenAnswer]


@router.post(
    "/lab/score",
    summary="How likely a model finds a text",
    response_model=ScoreAnswer,
    responses=FAILURES,
)
async def score(body: ScoreBody, request: Request, services: ServicesDep) -> Response:
    """The log-probability of every token after those before it; nothing is written."""
    with in_words_of({"prompt": "text"}):
        generation = await unless_disconnected(request, _open(services, body))
    scored = await unless_disconnected(request, _scored(generation))
    answer = _answer(generation.model, scored)
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/lab/tokenize",
    summary="A text's tokens",
    response_model=TokenizeAnswer,
    responses=FAILURES,
)
async def tokenize(body: TextBody, request: Request, services: ServicesDep) -> TokenizeAnswer:
    """How a model cuts a text. Special tokens spelt in it are text, as in a prompt."""

    async def answer() -> TokenizeAnswer:
        texts = await services.router.texts(body.model or services.defaults.model)
        tokenized = await texts.tokenize(body.text)
        pairs = zip(tokenized.tokens, tokenized.token_ids, strict=True)
        return TokenizeAnswer(
            model=texts.model.id,
            num_tokens=len(tokenized.token_ids),
            num_characters=len(body.text),
            context_length=texts.model.context_length,
            tokens=[TextTokenAnswer(token=token, token_id=token_id) for token, token_id in pairs],
        )

    return await unless_disconnected(request, answer())


async def _open(services: Services, body: ScoreBody) -> Generation:
    def build(model: ServedModel) -> GenerationRequest:
        return GenerationRequest(
            request_id=f"score-{uuid.uuid4().hex}",
            prompt=body.text,
            model=model.id,
            strategy="greedy",
            max_new_tokens=0,
            prompt_logprobs=body.top,
            named_tokens=words_named(body.named_tokens),
            adapter=body.adapter,
        )

    name = body.model or services.defaults.model
    return await services.router.submit(name, 1, build, keep_alive_seconds=body.keep_alive)


async def _scored(generation: Generation) -> PromptScored:
    """The scores of the text. Closes the outputs."""
    scored: PromptScored | None = None
    try:
        async for output in generation.outputs:
            if isinstance(output, PromptScored):
                scored = output
    finally:
        generation.outputs.close()
    assert scored is not None
    return scored


def _answer(model: ServedModel, scored: PromptScored) -> ScoreAnswer:
    logprobs = [max(one.chosen.logprob, LOWEST_LOGPROB) for one in scored.logprobs]
    total = math.fsum(logprobs)
    mean = total / len(logprobs) if logprobs else None
    first = ScoredTokenAnswer(
        token=scored.first.text, token_id=scored.first.token_id, logprob=None, top=[]
    )
    return ScoreAnswer(
        model=model.id,
        num_tokens=len(logprobs) + 1,
        num_scored=len(logprobs),
        logprob=total,
        mean_logprob=mean,
        perplexity=None if mean is None else _perplexity(mean),
        tokens=[first, *map(_token, scored.logprobs)],
    )


def _perplexity(mean_logprob: float) -> float | None:
    try:
        return math.exp(-mean_logprob)
    except OverflowError:
        return None


def _token(scored: ChosenLogprob) -> ScoredTokenAnswer:
    return ScoredTokenAnswer(
        **token_answer(scored.chosen).model_dump(),
        top=[token_answer(t) for t in scored.top],
        named=[token_answer(t) for t in scored.named] or None,
    )
