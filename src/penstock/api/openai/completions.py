"""`POST /v1/completions`: one or several prompts, continued."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.openai.asking import Asked, in_words_of, in_words_of_form, understand
from penstock.api.openai.completion_presenting import CompletionForm, CompletionPresenter
from penstock.api.openai.fields import COMPLETION_RULES, refuse_unsupported
from penstock.api.openai.formats import form_of
from penstock.api.openai.generating import BuildRequest, Generations, start
from penstock.api.openai.presenting import Heading, new_id, now, respond
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.openai.schemas import CompletionBody, Prompt
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import streamed
from penstock.errors import InvalidParameter

DEFAULT_MAX_TOKENS = 16
NAMES = {
    "max_new_tokens": "max_tokens",
    "max_length": "max_tokens",
    "num_return_sequences": "n",
    "prompt_logprobs": "echo",
}

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


@router.post("/completions", summary="Continue prompts", responses=FAILURES | streamed())
async def create_completion(
    body: CompletionBody, request: Request, services: ServicesDep
) -> Response:
    """Continue one or several prompts; with `stream`, as server-sent events."""
    heading = Heading(new_id("cmpl"), "text_completion", now())
    with in_words_of(NAMES):
        refuse_unsupported(body, COMPLETION_RULES)
        form = form_of(body)
        with in_words_of_form("response_format" if form else None):
            asked = _understand(body, form)
            generations, prompts = await unless_disconnected(
                request, _open(services, body, asked, heading.id)
            )
    shown = CompletionForm(
        prompts=prompts,
        num_choices=body.n or 1,
        with_logprobs=body.logprobs is not None,
        with_prompt_logprobs=asked.prompt_logprobs is not None,
    )
    return await respond(request, body, generations, CompletionPresenter(shown), heading)


def _understand(body: CompletionBody, form: Mapping[str, Any]) -> Asked:
    num_choices = body.n or 1
    num_written = num_choices if body.best_of is None else body.best_of
    _check_best_of(body, num_choices, num_written)
    is_ranked = num_written > num_choices
    asked = understand(
        body,
        num_sequences=num_written,
        max_new_tokens=DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens,
        logprobs=(body.logprobs or 0) if is_ranked else body.logprobs,
        form=form,
    )
    return replace(asked, prompt_logprobs=body.logprobs if body.echo else None)


def _check_best_of(body: CompletionBody, num_choices: int, num_written: int) -> None:
    if num_written < num_choices:
        raise InvalidParameter(
            f"best_of={num_written} is less than n={num_choices}.",
            "Write at least as many texts as are returned.",
            param="best_of",
        )
    if body.stream and num_written > num_choices:
        raise InvalidParameter(
            f"best_of={num_written} cannot be streamed: the best is known only at the end.",
            "Set stream to false, or leave best_of out.",
            param="best_of",
        )


async def _open(
    services: Services, body: CompletionBody, asked: Asked, request_id: str
) -> tuple[Generations, Sequence[str]]:
    """Start on every prompt; and the prompts' texts where they are to be echoed."""
    prompts: tuple[Prompt, ...] = body.prompt
    ticket = services.admission.enter(len(prompts) * asked.num_sequences)
    try:
        texts = await _echoed(services, body, prompts)
    except BaseException:
        ticket.release()
        raise
    builds = [_build(asked, f"{request_id}-{i}", prompt) for i, prompt in enumerate(prompts)]
    generations = await start(
        services, body.model, ticket, builds, keep_alive_seconds=asked.keep_alive_seconds
    )
    return generations, texts


async def _echoed(
    services: Services, body: CompletionBody, prompts: Sequence[Prompt]
) -> Sequence[str]:
    if not body.echo:
        return [""] * len(prompts)
    model = await services.router.texts(body.model)
    return [p if isinstance(p, str) else await model.detokenize(p) for p in prompts]


def _build(asked: Asked, request_id: str, prompt: Prompt) -> BuildRequest:
    return lambda model: asked.request(request_id, prompt, model)
