"""`POST /v1/chat/completions`: the next turn of a conversation."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.openai.asking import Asked, in_words_of, in_words_of_form, understand
from penstock.api.openai.chat_presenting import ChatPresenter
from penstock.api.openai.conversing import Turns, start_chat
from penstock.api.openai.fields import CHAT_RULES, refuse_unsupported
from penstock.api.openai.formats import form_of, grammar_of_calls, refuse_two_forms, tools_of
from penstock.api.openai.generating import Generations
from penstock.api.openai.messages import messages_of
from penstock.api.openai.presenting import Heading, new_id, now, respond
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.openai.schemas import ChatBody
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import streamed
from penstock.errors import InvalidParameter
from penstock.text.chat import RenderedChat
from penstock.text.tool_calls import Tool

NAMES = {
    "max_new_tokens": "max_completion_tokens",
    "max_length": "max_completion_tokens",
    "num_return_sequences": "n",
    "prompt": "messages",
}

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


@router.post(
    "/chat/completions", summary="Continue a conversation", responses=FAILURES | streamed()
)
async def create_chat_completion(
    body: ChatBody, request: Request, services: ServicesDep
) -> Response:
    """The assistant's next turn; with `stream`, as server-sent events.

    `chat_template` in the answer says whether the conversation was put into the model's own form
    (`model`) or, for a model that has none, into a declared one (`fallback`).
    """
    request_id = new_id("chatcmpl")
    with in_words_of(_names(body)):
        refuse_unsupported(body, CHAT_RULES)
        form = _form(body)
        with in_words_of_form(_form_field(body)):
            asked = _understand(body, form)
            generations, rendered = await unless_disconnected(
                request, _open(services, body, asked, request_id)
            )
    kind = "chat.completion.chunk" if body.stream else "chat.completion"
    heading = Heading(request_id, kind, now(), {"chat_template": rendered.origin})
    presenter = ChatPresenter(with_logprobs=bool(body.logprobs), reads_calls=bool(_tools(body)))
    return await respond(request, body, generations, presenter, heading)


def _understand(body: ChatBody, form: Mapping[str, Any]) -> Asked:
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidParameter(
            f"top_logprobs={body.top_logprobs} is set and logprobs is not.",
            "Set logprobs to true, or leave top_logprobs out.",
            param="top_logprobs",
        )
    return understand(
        body,
        num_sequences=body.n or 1,
        max_new_tokens=_max_tokens(body),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        form=form,
    )


def _tools(body: ChatBody) -> tuple[Tool, ...]:
    return tools_of(body.tools, body.tool_choice)


def _form(body: ChatBody) -> dict[str, Any]:
    """What the answer is bound to: calls of the tools, or the form that was asked for."""
    tools = _tools(body)
    if not tools:
        return form_of(body)
    refuse_two_forms(body, "tools")
    grammar = grammar_of_calls(
        tools,
        body.tool_choice,
        several=body.parallel_tool_calls is not False,
        response_format=body.response_format,
    )
    return {"grammar": grammar}


def _form_field(body: ChatBody) -> str | None:
    """The client's field that says the form, where it is no parameter of the catalog."""
    if _tools(body):
        return "tools"
    return "response_format" if form_of(body) else None


def _max_tokens(body: ChatBody) -> int | None:
    given = {body.max_completion_tokens, body.max_tokens} - {None}
    if len(given) > 1:
        raise InvalidParameter(
            f"max_tokens={body.max_tokens} and max_completion_tokens="
            f"{body.max_completion_tokens} are the same limit.",
            "Send max_completion_tokens alone.",
            param="max_tokens",
        )
    return given.pop() if given else None


def _names(body: ChatBody) -> dict[str, str]:
    """The client's words: the former name of the limit where it was used."""
    return NAMES if body.max_tokens is None else NAMES | {"max_new_tokens": "max_tokens"}


async def _open(
    services: Services, body: ChatBody, asked: Asked, request_id: str
) -> tuple[Generations, RenderedChat]:
    turns = Turns(
        messages_of(body.messages),
        add_generation_prompt=body.add_generation_prompt is not False,
        tools=tuple(_tools(body)),
    )
    return await start_chat(services, body.model, turns, asked, request_id)
