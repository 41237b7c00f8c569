"""`/tokenize`, `/detokenize`, `/apply-template`, `/tokenizer_info`: what a model makes of a text.

Evaluation harnesses ask these of a server whose tokenizer they do not have.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from penstock.api.disconnect import unless_disconnected
from penstock.api.openai.formats import MAX_TOOLS, ToolBody, tools_of
from penstock.api.openai.messages import messages_of
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.openai.schemas import MAX_MESSAGES, MessageBody
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, Text
from penstock.api.services import Services, ServicesDep
from penstock.errors import InvalidParameter
from penstock.serving.model_texts import ModelTexts

MAX_TOKENS = 1_000_000
TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Messages = Annotated[list[MessageBody], Field(min_length=1, max_length=MAX_MESSAGES)]

router = APIRouter(route_class=OpenAIRoute, tags=["texts"])


class ForModel(Strict):
    """What is asked of a model."""

    model: Name | None = Field(None, description="An id from `GET /v1/models`; else the default.")


class TokenizeBody(ForModel):
    """`POST /tokenize`: a text or a conversation."""

    prompt: Text | None = Field(None, description="The text; or send `messages`.")
    messages: Messages | None = Field(None, description="A conversation; or send `prompt`.")
    add_special_tokens: bool = Field(
        True, description="With what the tokenizer itself puts around a text."
    )
    parse_special: bool = Field(
        True,
        description="Whether special tokens spelt in the text are special. In a prompt they never "
        "are: send token ids there.",
    )
    add_generation_prompt: bool = Field(True, description="Open the assistant's turn.")
    return_token_strs: bool = Field(False, description="Also return each token as it is shown.")


class DetokenizeBody(ForModel):
    """`POST /detokenize`."""

    tokens: list[TokenId] = Field(max_length=MAX_TOKENS, description="Token ids.")


class ApplyTemplateBody(ForModel):
    """`POST /apply-template`."""

    messages: Messages = Field(description="A conversation.")
    tools: Annotated[list[ToolBody], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="Functions that the model is told of."
    )
    add_generation_prompt: bool = Field(True, description="Open the assistant's turn.")


@router.post("/tokenize", summary="Text to token ids", responses=FAILURES)
async def tokenize(body: TokenizeBody, request: Request, services: ServicesDep) -> dict[str, Any]:
    """The token ids of a text or of a conversation, and how many fit the model."""
    if (body.prompt is None) == (body.messages is None):
        raise InvalidParameter(
            "Send either prompt or messages.", "One of the two is tokenized.", param="prompt"
        )
    if body.messages is not None and body.return_token_strs:
        raise InvalidParameter(
            "return_token_strs goes with prompt, not with messages.",
            "Send the text that /apply-template makes of them.",
            param="return_token_strs",
        )
    return await unless_disconnected(request, _tokenize(body, services))


@router.post("/detokenize", summary="Token ids to text", responses=FAILURES)
async def detokenize(
    body: DetokenizeBody, request: Request, services: ServicesDep
) -> dict[str, Any]:
    """The text of token ids; special tokens have none."""

    async def answer() -> dict[str, Any]:
        model = await _model(services, body)
        return {"prompt": await model.detokenize(body.tokens), "model": model.model.id}

    return await unless_disconnected(request, answer())


@router.post("/apply-template", summary="Conversation to text", responses=FAILURES)
async def apply_template(
    body: ApplyTemplateBody, request: Request, services: ServicesDep
) -> dict[str, Any]:
    """What the model sees of a conversation, and which template made it so."""

    async def answer() -> dict[str, Any]:
        model = await _model(services, body)
        rendered = await model.render_chat(
            messages_of(body.messages),
            add_generation_prompt=body.add_generation_prompt,
            tools=tools_of(body.tools, None),
        )
        return {
            "prompt": rendered.text,
            "model": model.model.id,
            "chat_template": rendered.origin,
            "stop": list(rendered.stop),
            "count": len(rendered.token_ids),
        }

    return await unless_disconnected(request, answer())


@router.get("/tokenizer_info", summary="The tokenizer", responses=FAILURES)
async def tell_tokenizer(
    services: ServicesDep, model: Annotated[Name | None, Query(description="A model id.")] = None
) -> dict[str, Any]:
    """The special tokens and the chat template of a model."""
    texts = await services.router.texts(model or services.defaults.model)
    info = await texts.describe_tokenizer()
    return {
        "model": texts.model.id,
        "vocab_size": info.vocab_size,
        "bos_token": info.bos_token,
        "eos_token": info.eos_token,
        "pad_token": info.pad_token,
        "unk_token": info.unk_token,
        "eos_token_ids": list(info.eos_token_ids),
        "chat_template": info.chat_template,
        "chat_template_origin": info.chat_template_origin,
        "max_model_len": texts.model.context_length,
    }


async def _model(services: Services, body: ForModel) -> ModelTexts:
    return await services.router.texts(body.model or services.defaults.model)


async def _tokenize(body: TokenizeBody, services: Services) -> dict[str, Any]:
    model = await _model(services, body)
    tokens: tuple[str, ...] | None = None
    if body.messages is not None:
        rendered = await model.render_chat(
            messages_of(body.messages), add_generation_prompt=body.add_generation_prompt
        )
        token_ids = rendered.token_ids
    else:
        tokenized = await model.tokenize(
            body.prompt or "", with_ends=body.add_special_tokens, with_specials=body.parse_special
        )
        token_ids, tokens = tokenized.token_ids, tokenized.tokens
    answer: dict[str, Any] = {
        "count": len(token_ids),
        "max_model_len": model.model.context_length,
        "tokens": list(token_ids),
        "model": model.model.id,
    }
    if body.return_token_strs:
        answer["token_strs"] = list(tokens or ())
    return answer
