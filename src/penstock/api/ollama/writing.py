"""`POST /api/generate` and `POST /api/chat`: a text continued, a conversation answered."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.ollama.calling import form_of
from penstock.api.ollama.calling import messages_of as _messages
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
from penstock.api.ollama.schemas import OllamaChatBody, OllamaGenerateBody
from penstock.api.openai.asking import in_words_of, in_words_of_form
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.formats import tools_of
from penstock.api.openai.generating import Generations, start
from penstock.api.openai.presenting import complete, events_of, json_response, new_id
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import EventStream, streamed
from penstock.serving.model_texts import ModelTexts
from penstock.text.chat import Message, RenderedChat
from penstock.text.tool_calls import Tool

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
    if not (body.prompt if isinstance(body, OllamaGenerateBody) else body.messages):
        return json_response(await unless_disconnected(request, _manage(services, body, say)))
    started = time.monotonic()
    model = await unless_disconnected(request, services.router.texts(body.model))
    clock = Clock(started, time.monotonic())
    reads_calls = isinstance(body, OllamaChatBody) and bool(body.tools)
    form = form_of(body)
    with in_words_of_form("tools" if reads_calls else "format" if form else None):
        generations = await unless_disconnected(request, _open(services, model, body, form))
    presenter = OllamaPresenter(
        model.model.id, say, clock, with_logprobs=bool(body.logprobs), reads_calls=reads_calls
    )
    if body.stream is not False:
        events = events_of(generations, presenter)
        return EventStream(events, on_close=generations.close, framing=FRAMING)
    return json_response(await unless_disconnected(request, complete(generations, presenter)))


async def _manage(
    services: Services, body: OllamaGenerateBody | OllamaChatBody, say: Say
) -> dict[str, object]:
    """Where there is nothing to write, the model is loaded; or unloaded, with a keep-alive of 0."""
    started = time.monotonic()
    model_id = services.lifecycle.find(body.model).id
    if body.keep_alive == 0:
        done_reason = "unload"
        await services.lifecycle.release(model_id)
        clock = Clock(started, started)
    else:
        done_reason = "load"
        await services.lifecycle.running(model_id, keep_alive_seconds=body.keep_alive)
        clock = Clock(started, time.monotonic())
    heading = {"model": model_id, "created_at": created_at()}
    return {**heading, **say(""), "done": True, "done_reason": done_reason, **clock.durations()}


async def _open(
    services: Services,
    model: ModelTexts,
    body: OllamaGenerateBody | OllamaChatBody,
    form: Mapping[str, Any],
) -> Generations:
    """Put the prompt together and start on it."""
    ticket = services.admission.enter(1)
    try:
        if isinstance(body, OllamaGenerateBody):
            prompt = await _prompt(model, body)
        else:
            prompt = await _rendered(model, _messages(body.messages), tools_of(body.tools, None))
        asked = ask(body, len(prompt.token_ids), model.model, form)
    except BaseException:
        ticket.release()
        raise
    whole = replace(asked, stop=(*asked.stop, *prompt.stop))
    request_id = new_id("ollama")
    build = [lambda model: whole.request(request_id, prompt.token_ids, model)]
    return await start(services, body.model, ticket, build, keep_alive_seconds=body.keep_alive)


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


async def _rendered(
    model: ModelTexts, messages: Sequence[Message], tools: Sequence[Tool] = ()
) -> RenderedChat:
    last = messages[-1]
    return await model.render_chat(
        messages,
        continue_last=last.role == "assistant" and not last.tool_calls,
        tools=tuple(tools),
    )
