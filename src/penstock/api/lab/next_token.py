"""`POST /lab/next-token`: what the chain makes of the next token's distribution, step by step."""

from dataclasses import replace

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import Answer, StageAnswer, TokenAnswer
from penstock.api.playground.asking import Asked, to_request, understand
from penstock.api.playground.generate import FAILURES
from penstock.api.playground.presenting import stages, token_answer
from penstock.api.playground.schemas import GenerationFields, PromptField
from penstock.api.services import Services, ServicesDep
from penstock.serving.callers import caller
from penstock.serving.models import ServedModel
from penstock.serving.router import Generation
from penstock.types import ChosenLogprob, GenerationRequest, SequenceFinished

router = APIRouter(route_class=JsonRoute, tags=["lab"])


class NextTokenBody(GenerationFields):
    """A generation as for `POST /generate`, of which only the first step is made."""

    prompt: PromptField
    candidates: int = Field(10, ge=1, le=100, description="How many of the likeliest tokens.")


class NextTokenAnswer(Answer):
    """The stages of the next token's distribution, and the token that these settings choose."""

    model: str
    strategy: str
    rendered_prompt: str
    unused_parameters: list[str]
    chosen: TokenAnswer | None
    stages: list[StageAnswer]
    named: list[TokenAnswer] | None = Field(
        None,
        description="With `named_tokens`, in their order: the model's own log-probabilities.",
        exclude_if=lambda named: named is None,
    )


@router.post(
    "/lab/next-token",
    summary="The next token's distribution, step by step",
    response_model=NextTokenAnswer,
    responses=FAILURES,
)
async def next_token(body: NextTokenBody, request: Request, services: ServicesDep) -> Response:
    """Nothing is generated: the distribution after the prompt, and after each step of the chain.

    It counts against limits of tokens and of a minute's requests, not of a day's.
    """
    asked = understand(body.prompt, body, services.defaults)
    opening = _open(services, asked, body.candidates)
    generation = await unless_disconnected(request, opening)
    choice = await unless_disconnected(request, _first_choice(generation))
    answer = NextTokenAnswer(
        model=generation.model.id,
        strategy=asked.strategy.id,
        rendered_prompt=str(generation.request.prompt),
        unused_parameters=list(asked.unused),
        chosen=None if choice is None else token_answer(choice.chosen),
        stages=[] if choice is None else stages(choice),
        named=None if choice is None else [token_answer(t) for t in choice.named] or None,
    )
    return Response(answer.model_dump_json(), media_type="application/json")


async def _open(services: Services, asked: Asked, candidates: int) -> Generation:
    def one_step(model: ServedModel) -> GenerationRequest:
        request = to_request(asked, model)
        return replace(
            request,
            max_new_tokens=1,
            min_new_tokens=min(1, request.min_new_tokens),
            stop=(),
            trace=candidates,
        )

    caller().keeps_history = False  # nobody asked for a text
    caller().allowance.only_look()
    return await services.router.submit(
        asked.model, asked.num_sequences, one_step, keep_alive_seconds=asked.keep_alive_seconds
    )


async def _first_choice(generation: Generation) -> ChosenLogprob | None:
    """The choice of the first text's first token. Closes the outputs."""
    choice = None
    try:
        async for output in generation.outputs:
            if isinstance(output, SequenceFinished) and output.index == 0:
                choice = output.logprobs[0] if output.logprobs else output.ending
    finally:
        generation.outputs.close()
    return choice
