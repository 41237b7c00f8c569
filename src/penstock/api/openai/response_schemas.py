"""What a client may send to `/v1/responses`: a text or items, and what came before."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from penstock.api.openai.fields import Labels, wire_fields
from penstock.api.openai.response_fields import RESPONSE_RULES
from penstock.api.openai.schemas import MAX_MESSAGES, MAX_PARTS, MOST_TOKENS, OwnFields
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, Text, check_text
from penstock.text.chat import Message, Role

LOGPROBS = "message.output_text.logprobs"
ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
TEXT_PARTS = {"input_text", "output_text"}
PART_FIELDS = {"type", "text", "annotations", "logprobs"}  # as they come back in an answer
ITEM_FIELDS = {"type", "role", "content", "id", "status", "phase"}
INPUT_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}


def _refused(problem: str) -> PydanticCustomError:
    return PydanticCustomError("input", "{problem}", {"problem": problem})


def _messages(value: Any) -> tuple[Message, ...]:
    """The messages of an input: one of the user's, or those of the items."""
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MESSAGES:
        raise _refused(f"Use a text, or a list of 1 to {MAX_MESSAGES} messages")
    return tuple(_message(item) for item in value)


def _message(item: Any) -> Message:
    match item:
        case {"type": str(kind)} if kind != "message":
            raise _refused(f"Only messages are read here, not {kind[:40]}")
        case {"role": str(role), "content": content} if role in ROLES and (
            item.keys() <= ITEM_FIELDS
        ):
            return Message(ROLES[role], _content(content))
    raise _refused('Use items like {"role": "user", "content": "..."}')


def _content(content: Any) -> str:
    if isinstance(content, str):
        return check_text(content)
    if not isinstance(content, list) or not 1 <= len(content) <= MAX_PARTS:
        raise _refused(f"Use a text or 1 to {MAX_PARTS} parts of text as content")
    return check_text("".join(_text(part) for part in content))


def _text(part: Any) -> str:
    match part:
        case {"type": str(kind), "text": str(text)} if (
            kind in TEXT_PARTS and part.keys() <= PART_FIELDS
        ):
            return text
        case {"type": str(kind)} if kind not in TEXT_PARTS:
            raise _refused(f"Models here read text, not {kind[:40]}")
    raise _refused('Use parts like {"type": "input_text", "text": "..."}')


Input = Annotated[Any, AfterValidator(_messages), WithJsonSchema(INPUT_SCHEMA)]

if TYPE_CHECKING:

    class UnsupportedInResponses(BaseModel): ...

else:
    UnsupportedInResponses = create_model(
        "UnsupportedInResponses", __base__=Strict, **wire_fields(RESPONSE_RULES)
    )


class ResponseStreamOptions(Strict):
    """What a stream holds besides the text."""

    include_obfuscation: Literal[False] | None = Field(
        None, description="Padding is only made in the other dialects' streams."
    )


class ResponseBody(OwnFields, UnsupportedInResponses):
    """`POST /v1/responses`."""

    input: Input = Field(description="A text, or messages of text.")
    instructions: Text | None = Field(None, description="What comes before the conversation.")
    previous_response_id: Name | None = Field(
        None, description="The response that this one goes on from, with all before it."
    )
    max_output_tokens: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="Tokens at most; else as many as fit."
    )
    include: list[Literal["message.output_text.logprobs"]] | None = Field(
        None, max_length=1, description=f"`{LOGPROBS}`, or nothing."
    )
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description=f"Of so many rivals too. Only with `{LOGPROBS}` included."
    )
    metadata: Labels | None = Field(None, description="Labels, given back with the response.")
    store: bool | None = Field(
        None, description="Whether it can be gone on from and fetched later; else true."
    )
    stream: bool | None = Field(None, description="Send the text as it is written, as events.")
    stream_options: ResponseStreamOptions | None = Field(None, description="Only with `stream`.")
