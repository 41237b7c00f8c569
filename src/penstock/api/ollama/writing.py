"""`POST /api/generate` and `POST /api/chat`: a text continued, a conversation answered."""

import time
from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.ollama.fields import CHAT_RULES, GENERATE_RULES
from penstock.api.ollama.options import NAMES, ask
from penstock.api.ollama.presenting import (
    Clock,
    OllamaPresenter,
    Say,
    created_at,
    say_message,
    say_response,
)
from penstock.api.ollama.routing import FAILURES, FRAMING, NDJSON, OllamaRoute
from penstock.api.ollama.schemas import OllamaChatBody, OllamaGenerateBody, OllamaTurnBody
from penstock.api.openai.asking import in_words_of
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.generating import Generations, start
from penstock.api.openai.presenting import complete, events_of, json_response, new_id
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import EventStream, streamed
from penstock.serving.model_texts import ModelTexts
from penstock.text.chat import Message, RenderedChat

router = APIRouter(prefix="/api", route_class=OllamaRoute, tags=["ollama"], responses=FAILURES)


@router.post(
    "/generate", summary="Continue a text, as Ollama's clients ask", responses=streamed(NDJSON)
)
async def generate(body: OllamaGenerateBody, request: Request, services: ServicesDep) -> Response:
    """The text that follows; as lines of JSON unless `stream` is false."""
    with in_words_of(NAMES):
        refuse_unsupported(body, GENERATE_RULES)
        return await _respond(body, request, services, say_response)


@router.post(
    "/chat", summary="Answer a conversation, as Ollama's clients ask", responses=streamed(NDJSON)
)
async def chat(body: OllamaChatBody, request: Request, services: ServicesDep) -> Response:
    """The assistant's next turn; as lines of JSON unless `stream` is false."""
    with in_words_of({**NAMES, "prompt": "messages"}):
        refuse_unsupported(body, CHAT_RULES)
        return await _respond(body, request, services, say_message)


async def _respond(
    body: OllamaGenerateBody | OllamaChatBody, request: Request, services: Services, say: Say
) -> Response:
    started = time.monotonic()
    model = await unless_disconnected(request, services.router.texts(body.model))
    clock = Clock(started, time.monotonic())
    if not (body.prompt if isinstance(body, OllamaGenerateBody) else body.messages):
        return json_response(_loaded(model, say, clock))
    generations = await unless_disconnected(request, _open(services, model, body))
    presenter = OllamaPresenter(model.model.id, say, clock, with_logprobs=bool(body.logprobs))
    if body.stream is not False:
        events = events_of(generations, presenter)
        return EventStream(events, on_close=generations.close, framing=FRAMING)
    return json_response(await unless_disconnected(request, complete(generations, presenter)))


def _loaded(model: ModelTexts, say: Say, clock: Clock) -> dict[str, object]:
    """The answer where there is nothing to write: the model is loaded."""
    heading = {"model": model.model.id, "created_at": created_at()}
    return {**heading, **say(""), "done": True, "done_reason": "load", **clock.durations()}


async def _open(
    services: Services, model: ModelTexts, body: OllamaGenerateBody | OllamaChatBody
) -> Generations:
    """Put the prompt together and start on it."""
    ticket = services.admission.enter(1)
    try:
        if isinstance(body, OllamaGenerateBody):
            prompt = await _prompt(model, body)
        else:
            prompt = await _rendered(model, _messages(body.messages))
        asked = ask(body, len(prompt.token_ids), model.model)
    except BaseException:
        ticket.release()
        raise
    whole = replace(asked, stop=(*asked.stop, *prompt.stop))
    request_id = new_id("ollama")
    build = [lambda model: whole.request(request_id, prompt.token_ids, model)]
    return await start(services, body.model, ticket, build)


async def _prompt(model: ModelTexts, body: OllamaGenerateBody) -> RenderedChat:
    """A chat model's prompt is a turn of the user's; a base model's is a text to continue."""
    text = body.prompt or ""
    if not body.raw:
        system = [] if body.system is None else [Message("system", body.system)]
        rendered = await _rendered(model, [*system, Message("user", text)])
        if rendered.origin == "model":
            return rendered
        text = "\n\n".join(filter(None, (body.system, text)))
    tokenized = await model.tokenize(text)
    return RenderedChat(text=text, token_ids=tokenized.token_ids, origin="fallback", stop=())


async def _rendered(model: ModelTexts, messages: Sequence[Message]) -> RenderedChat:
    return await model.render_chat(messages, continue_last=messages[-1].role == "assistant")


def _messages(turns: Sequence[OllamaTurnBody]) -> list[Message]:
    return [Message(turn.role, turn.content or "") for turn in turns]
