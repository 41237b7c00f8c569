"""Starts on a conversation: renders it in the model's own form and asks for the next turn."""

from dataclasses import dataclass, replace

from penstock.api.openai.asking import Asked
from penstock.api.openai.generating import Generations, start
from penstock.api.services import Services
from penstock.text.chat import Message, RenderedChat
from penstock.text.tool_calls import Tool


@dataclass(frozen=True, slots=True)
class Turns:
    """A conversation, and how the model is to go on with it."""

    messages: tuple[Message, ...]
    add_generation_prompt: bool = True
    continue_last: bool = False  # the last message is the beginning of the answer
    tools: tuple[Tool, ...] = ()


async def render(services: Services, model: str, turns: Turns) -> RenderedChat:
    """What the model sees of the conversation."""
    texts = await services.router.texts(model)
    return await texts.render_chat(
        turns.messages,
        add_generation_prompt=turns.add_generation_prompt,
        continue_last=turns.continue_last,
        tools=turns.tools,
    )


async def start_chat(
    services: Services, model: str, turns: Turns, asked: Asked, request_id: str
) -> tuple[Generations, RenderedChat]:
    """Start on the next turn. The template's own stop strings join those of the request."""
    ticket = services.admission.enter(asked.num_sequences)
    try:
        rendered = await render(services, model, turns)
    except BaseException:
        ticket.release()
        raise
    whole = replace(asked, stop=(*asked.stop, *rendered.stop))
    build = [lambda model: whole.request(request_id, rendered.token_ids, model)]
    generations = await start(
        services, model, ticket, build, keep_alive_seconds=asked.keep_alive_seconds
    )
    return generations, rendered
