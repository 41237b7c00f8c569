"""`/v1/responses`: the next turn of a conversation that the server remembers."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.errors import error_body
from penstock.api.openai.asking import Asked, decide, in_words_of, in_words_of_form
from penstock.api.openai.conversing import Turns, start_chat
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.generating import Generations
from penstock.api.openai.lists import After, shown_list
from penstock.api.openai.presenting import complete, events_of, json_response, new_id, now
from penstock.api.openai.response_fields import RESPONSE_RULES
from penstock.api.openai.response_forms import called_tools, form_field, form_of, told
from penstock.api.openai.response_items import input_items, refuse_stray_answers
from penstock.api.openai.response_presenting import ResponsePresenter
from penstock.api.openai.response_schemas import LOGPROBS, ResponseBody
from penstock.api.openai.response_store import ResponseStore, Stored, StoreDep
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.services import ServicesDep
from penstock.api.sse import Event, EventStream, Framing, encode_named, streamed
from penstock.errors import InvalidParameter, ResponseNotFound
from penstock.text.chat import Message

NAMES = {
    "max_new_tokens": "max_output_tokens",
    "max_length": "max_output_tokens",
    "prompt": "input",
    "messages": "input",
}

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


@router.post(
    "/responses", summary="Continue a remembered conversation", responses=FAILURES | streamed()
)
async def create_response(
    body: ResponseBody, request: Request, services: ServicesDep, store: StoreDep
) -> Response:
    """The assistant's next turn; with `stream`, as server-sent events.

    It is kept in memory, so that `previous_response_id` can go on from it, until the server stops.
    """
    refuse_unsupported(body, RESPONSE_RULES)  # its own `prompt` is no input: not in other words
    with in_words_of(NAMES):
        conversation = (*_before(body, store), *body.input)
        refuse_stray_answers(conversation)
        instructions = () if body.instructions is None else (Message("system", body.instructions),)
        turns = Turns((*instructions, *conversation), tools=called_tools(body))
        response_id = new_id("resp")
        form = form_of(body)
        with in_words_of_form(form_field(body)):
            asked = _understand(body, form)
            opening = start_chat(services, body.model, turns, asked, response_id)
            generations, _ = await unless_disconnected(request, opening)
    heading = _heading(body, asked, response_id, generations.model.id)
    presenter = ResponsePresenter(
        heading, with_logprobs=asked.logprobs is not None, reads_calls=bool(turns.tools)
    )
    memory = None if body.store is False else store
    remembering = _Remembering(memory, body.input, conversation, presenter)
    if body.stream:
        return _stream(generations, presenter, remembering)
    answer = await unless_disconnected(request, complete(generations, presenter))
    remembering.remember()
    return json_response(answer)


@router.get("/responses/{response_id}", summary="A response again", responses=FAILURES)
async def retrieve_response(response_id: str, store: StoreDep) -> dict[str, Any]:
    """The response as it was given."""
    return store.get(response_id).response


@router.delete("/responses/{response_id}", summary="Forget a response", responses=FAILURES)
async def delete_response(response_id: str, store: StoreDep) -> dict[str, Any]:
    """Later responses that went on from it keep what they know."""
    store.remove(response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.get("/responses/{response_id}/input_items", summary="Its input", responses=FAILURES)
async def list_input_items(
    response_id: str,
    store: StoreDep,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 20,
    order: Annotated[
        Literal["asc", "desc"], Query(description="`asc` has them in the order they were sent.")
    ] = "desc",
    after: After = None,
) -> dict[str, Any]:
    """The items of the input; the last that was sent comes first, as at OpenAI."""
    items = input_items(response_id, store.get(response_id).input)
    ordered = items if order == "asc" else items[::-1]
    ids = [item["id"] for item in ordered]
    if after is not None and after not in ids:
        raise InvalidParameter(
            f"after={after[:80]!r} is no item of this input.",
            "Send the last_id of the page before.",
            param="after",
        )
    rest = ordered if after is None else ordered[ids.index(after) + 1 :]
    return shown_list(rest[:limit], has_more=len(rest) > limit)


def _understand(body: ResponseBody, form: Mapping[str, Any]) -> Asked:
    if body.stream_options is not None and not body.stream:
        raise InvalidParameter(
            "stream_options is set and stream is not.",
            "Set stream to true, or leave stream_options out.",
            param="stream_options",
        )
    with_logprobs = LOGPROBS in (body.include or ())
    if body.top_logprobs is not None and not with_logprobs:
        raise InvalidParameter(
            f"top_logprobs={body.top_logprobs} is set and include does not ask for log-"
            "probabilities.",
            f"Send include=[{LOGPROBS!r}], or leave top_logprobs out.",
            param="top_logprobs",
        )
    return decide(
        body,
        max_new_tokens=body.max_output_tokens,
        logprobs=(body.top_logprobs or 0) if with_logprobs else None,
        form=form,
    )


def _before(body: ResponseBody, store: ResponseStore) -> tuple[Message, ...]:
    """The conversation that this response goes on from."""
    if body.previous_response_id is None:
        return ()
    try:
        return store.get(body.previous_response_id).conversation
    except ResponseNotFound as error:
        raise InvalidParameter(error.problem, error.hint, param="previous_response_id") from error


def _heading(body: ResponseBody, asked: Asked, response_id: str, model: str) -> dict[str, Any]:
    """What is known of the response before it is written."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": now(),
        "model": model,
        "error": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "previous_response_id": body.previous_response_id,
        "store": body.store is not False,
        "temperature": asked.params.temperature,
        "top_p": asked.params.top_p,
        "top_logprobs": body.top_logprobs or 0,
        "truncation": "disabled",
        **told(body),
    }


class _Remembering:
    """Puts a finished response into the store, if there is one for it."""

    def __init__(
        self,
        store: ResponseStore | None,
        asked: tuple[Message, ...],
        conversation: tuple[Message, ...],
        presenter: ResponsePresenter,
    ) -> None:
        self._store = store
        self._input = asked
        self._conversation = conversation
        self._presenter = presenter

    def remember(self) -> None:
        """Once the response is finished."""
        if self._store is not None:
            self._store.put(
                Stored(
                    response=self._presenter.answer(),
                    input=self._input,
                    conversation=(*self._conversation, self._presenter.turn()),
                )
            )


def _stream(
    generations: Generations, presenter: ResponsePresenter, remembering: _Remembering
) -> EventStream:
    async def batches() -> AsyncIterator[list[Event]]:
        async for events in events_of(generations, presenter):
            if presenter.is_done:  # before the client hears of it
                remembering.remember()
            yield events

    framing = Framing(
        encode=encode_named,
        present_error=lambda error: presenter.error_event(error_body(error)),
        end=b"",
    )
    return EventStream(batches(), on_close=generations.close, framing=framing)
