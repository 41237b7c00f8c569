"""`POST /v1/messages`: the next turn of a conversation; and how many tokens one has."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.anthropic.calling import called_tools, form_of
from penstock.api.anthropic.fields import COUNT_RULES, MESSAGE_RULES
from penstock.api.anthropic.presenting import MessagePresenter
from penstock.api.anthropic.routing import FAILURES, FRAMING, AnthropicRoute
from penstock.api.anthropic.schemas import (
    AnthropicMessagesBody,
    AnthropicTurnBody,
    Called,
    CountBody,
)
from penstock.api.disconnect import unless_disconnected
from penstock.api.openai.asking import decide, in_words_of, in_words_of_form
from penstock.api.openai.conversing import Turns, render, start_chat
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.presenting import complete, events_of, json_response, new_id
from penstock.api.services import ServicesDep
from penstock.api.sse import EventStream, streamed
from penstock.errors import InvalidParameter
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
        turns, form = turns_of(body), form_of(body)
        with in_words_of_form("tools" if turns.tools else "output_config" if form else None):
            asked = decide(body, max_new_tokens=body.max_tokens, stop=stop, form=form)
            message_id = new_id("msg")
            opening = start_chat(services, body.model, turns, asked, message_id)
            generations, _ = await unless_disconnected(request, opening)
    presenter = MessagePresenter(
        message_id, generations.model.id, stop, reads_calls=bool(turns.tools)
    )
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


def turns_of(body: Called) -> Turns:
    """The conversation as models see it. A last turn of the assistant's is to be continued."""
    system = [] if body.system is None else [Message("system", body.system)]
    messages = (*system, *_joined(body.messages))
    last = messages[-1]
    continue_last = last.role == "assistant" and not last.tool_calls
    return Turns(messages, continue_last=continue_last, tools=called_tools(body))


def _joined(turns: Sequence[AnthropicTurnBody]) -> Iterator[Message]:
    """One turn where the same speaker has several in a row; answers to calls come before it."""
    _refuse_misplaced(turns)
    for role, group in groupby(turns, key=lambda turn: turn.role):
        spoken = [turn.content for turn in group]
        results = [result for one in spoken for result in one.results]
        for result in results:
            yield Message("tool", result.content, tool_call_id=result.call_id)
        text = BETWEEN_TURNS.join(one.text for one in spoken if one.text)
        calls = tuple(call for one in spoken for call in one.calls)
        if text or calls or not results:
            yield Message(role, text, tool_calls=calls)


def _refuse_misplaced(turns: Sequence[AnthropicTurnBody]) -> None:
    """Only the assistant calls tools, and only the user brings their answers."""
    for number, turn in enumerate(turns):
        kind = "tool_use" if turn.content.calls else "tool_result"
        speaker = "assistant" if turn.content.calls else "user"
        if (turn.content.calls or turn.content.results) and turn.role != speaker:
            place = f"messages.{number}.content"
            raise InvalidParameter(
                f"{place} has a {kind} in a turn of the {turn.role}.",
                f"Put it into a turn of the {speaker}.",
                param=place,
            )
