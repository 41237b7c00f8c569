"""What a client may send to `/v1/messages`: Anthropic's fields, and ours by the catalog's names."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from penstock.api.anthropic.fields import COUNT_RULES, MESSAGE_RULES
from penstock.api.openai.fields import wire_fields
from penstock.api.openai.schemas import (
    MAX_MESSAGES,
    MAX_PARTS,
    MOST_TOKENS,
    TEXT_OR_PARTS,
    OwnFields,
)
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, StopString, check_text
from penstock.types import MAX_STOP_STRINGS

BLOCK_FIELDS = {"type", "text", "cache_control", "citations"}


def _text(value: Any) -> str:
    """A string, or the texts of blocks one after the other."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PARTS:
        raise PydanticCustomError("content", f"Use a string or 1 to {MAX_PARTS} blocks of text")
    return "".join(_text_of_block(block) for block in value)


def _text_of_block(block: Any) -> str:
    """A block's text. Its `cache_control` changes nothing, and there are no citations."""
    match block:
        case {"type": "text", "text": str(text)} if block.keys() <= BLOCK_FIELDS:
            if block.get("citations"):
                raise PydanticCustomError("content", "Citations are not supported: leave them out")
            return text
        case {"type": str(kind)} if kind != "text":
            raise PydanticCustomError("content", f"Models here read text, not {kind[:40]}")
    raise PydanticCustomError("content", 'Use blocks like {"type": "text", "text": "..."}')


Blocks = Annotated[
    Any, AfterValidator(_text), AfterValidator(check_text), WithJsonSchema(TEXT_OR_PARTS)
]
System = Blocks | None


class AnthropicTurnBody(Strict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"] = Field(description="Who speaks.")
    content: Blocks = Field(description="A text, or blocks of type `text`, which are joined.")


Turns = Annotated[list[AnthropicTurnBody], Field(min_length=1, max_length=MAX_MESSAGES)]

if TYPE_CHECKING:

    class UnsupportedInMessages(Strict): ...

    class UnsupportedInCounts(Strict): ...

else:
    UnsupportedInMessages = create_model(
        "UnsupportedInMessages", __base__=Strict, **wire_fields(MESSAGE_RULES)
    )
    UnsupportedInCounts = create_model(
        "UnsupportedInCounts", __base__=Strict, **wire_fields(COUNT_RULES)
    )


class AnthropicMessagesBody(OwnFields, UnsupportedInMessages):
    """`POST /v1/messages`."""

    max_tokens: int = Field(ge=0, le=MOST_TOKENS, description="How many tokens to write at most.")
    messages: Turns = Field(
        description="The conversation so far. Where the last turn is the assistant's, it is "
        "continued."
    )
    system: System = Field(None, description="What comes before the conversation.")
    stop_sequences: list[StopString] | None = Field(
        None, max_length=MAX_STOP_STRINGS, description="End just before any of these strings."
    )
    stream: bool | None = Field(None, description="Send the text as it is written, as events.")


class CountBody(UnsupportedInCounts):
    """`POST /v1/messages/count_tokens`."""

    model: Name = Field(description="An id from `GET /v1/models`.")
    messages: Turns = Field(description="The conversation so far.")
    system: System = Field(None, description="What comes before the conversation.")
