"""`POST /v1/messages`: the next turn of a conversation; and how many tokens one has."""

from collections.abc import Sequence
from itertools import groupby

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.anthropic.fields import COUNT_RULES, MESSAGE_RULES
from penstock.api.anthropic.presenting import MessagePresenter
from penstock.api.anthropic.routing import FAILURES, FRAMING, AnthropicRoute
from penstock.api.anthropic.schemas import AnthropicMessagesBody, AnthropicTurnBody, CountBody
from penstock.api.disconnect import unless_disconnected
from penstock.api.openai.asking import decide, in_words_of
from penstock.api.openai.conversing import Turns, render, start_chat
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.presenting import complete, events_of, json_response, new_id
from penstock.api.services import ServicesDep
from penstock.api.sse import EventStream, streamed
from penstock.text.chat import Message

NAMES = {"max_new_tokens": "max_tokens", "max_length": "max_tokens", "prompt": "messages"}
BETWEEN_TURNS = "\n\n"  # of one speaker, which are one turn to the model

router = APIRouter(prefix="/v1", route_class=AnthropicRoute, tags=["anthropic"], responses=FAILURES)


@router.post(
    "/messages", summary="Continue a conversation, as Anthropic's clients ask", responses=streamed()
)
async def create_message(
    body: AnthropicMessagesBody, request: Request, services: ServicesDep
) -> Response:
    """The assistant's next turn; with `stream`, as server-sent events."""
    with in_words_of(NAMES):
        refuse_unsupported(body, MESSAGE_RULES)
        stop = tuple(body.stop_sequences or ())
        asked = decide(body, max_new_tokens=body.max_tokens, stop=stop)
        message_id = new_id("msg")
        opening = start_chat(services, body.model, turns_of(body), asked, message_id)
        generations, _ = await unless_disconnected(request, opening)
    presenter = MessagePresenter(message_id, generations.model.id, stop)
    if body.stream:
        events = events_of(generations, presenter)
        return EventStream(events, on_close=generations.close, framing=FRAMING)
    return json_response(await unless_disconnected(request, complete(generations, presenter)))


@router.post("/messages/count_tokens", summary="How many tokens a conversation has")
async def count_tokens(body: CountBody, request: Request, services: ServicesDep) -> Response:
    """As many as `/v1/messages` counts for its input."""
    with in_words_of(NAMES):
        refuse_unsupported(body, COUNT_RULES)
        rendering = render(services, body.model, turns_of(body))
        rendered = await unless_disconnected(request, rendering)
    return json_response({"input_tokens": len(rendered.token_ids)})


def turns_of(body: AnthropicMessagesBody | CountBody) -> Turns:
    """The conversation as models see it. A last turn of the assistant's is to be continued."""
    system = [] if body.system is None else [Message("system", body.system)]
    messages = (*system, *_joined(body.messages))
    return Turns(messages, continue_last=messages[-1].role == "assistant")


def _joined(turns: Sequence[AnthropicTurnBody]) -> list[Message]:
    """One turn where the same speaker has several in a row."""
    return [
        Message(role, BETWEEN_TURNS.join(turn.content for turn in group))
        for role, group in groupby(turns, key=lambda turn: turn.role)
    ]
