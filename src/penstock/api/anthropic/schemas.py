"""What a client may send to `/v1/messages`: Anthropic's fields, and ours by the catalog's names."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, create_model

from penstock.api.anthropic.fields import COUNT_RULES, MESSAGE_RULES, CacheHint
from penstock.api.anthropic.turns import BLOCKS, HINT, read_text, read_turn
from penstock.api.openai.fields import wire_fields
from penstock.api.openai.formats import MAX_TOOLS, FunctionName
from penstock.api.openai.schemas import (
    MAX_MESSAGES,
    MOST_TOKENS,
    TEXT_OR_PARTS,
    OwnFields,
)
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, StopString, Text
from penstock.types import MAX_STOP_STRINGS

Turn = Annotated[Any, AfterValidator(read_turn), WithJsonSchema(TEXT_OR_PARTS)]
Blocks = Annotated[Any, AfterValidator(read_text), WithJsonSchema(TEXT_OR_PARTS)]
System = Blocks | None


class AnthropicTurnBody(Strict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"] = Field(description="Who speaks.")
    content: Annotated[Turn, BLOCKS] = Field(description="A text, or blocks.")


class AnthropicToolBody(Strict):
    """A function that the model may call."""

    type: Literal["custom"] | None = Field(None, description="A tool of your own.")
    name: FunctionName = Field(description="Its name.")
    description: Text | None = Field(None, description="What it does, for the model.")
    input_schema: dict[str, Any] = Field(description="A JSON schema of its arguments.")
    strict: bool | None = Field(
        None, description="Refuse a schema with keywords that cannot be followed, not ignore them."
    )
    cache_control: CacheHint | None = Field(None, description=HINT)
    eager_input_streaming: bool | None = Field(
        None, description="Arguments always come as they are written."
    )


class AnthropicToolChoice(Strict):
    """Whether a tool is to be called, and which."""

    type: Literal["auto", "any", "tool", "none"] = Field(description="Whether.")
    name: FunctionName | None = Field(None, description="Which, with type `tool`.")
    disable_parallel_tool_use: bool | None = Field(None, description="At most one call.")


class OutputFormat(Strict):
    """The form of the answer."""

    type: Literal["json_schema"] = Field(description="JSON.")
    wire_schema: dict[str, Any] = Field(alias="schema", description="The JSON schema.")


class OutputConfig(Strict):
    """How the answer is to be."""

    format: OutputFormat | None = Field(None, description="The form, which is always followed.")
    effort: None = Field(None, description="No model here has such a setting.")
    task_budget: None = Field(None, description="No model here has such a setting.")


Turns = Annotated[list[AnthropicTurnBody], Field(min_length=1, max_length=MAX_MESSAGES)]


class Called(Strict):
    """What messages and their counts have in common."""

    tools: Annotated[list[AnthropicToolBody], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="Functions that the model may call. Their arguments fit their schemas."
    )
    tool_choice: AnthropicToolChoice | None = Field(
        None, description="Whether and which the model calls; else as it sees fit."
    )
    output_config: OutputConfig | None = Field(None, description="The form of the answer.")
    messages: Turns = Field(
        description="The conversation so far. Where the last turn is the assistant's, it is "
        "continued."
    )
    system: System = Field(None, description="What comes before the conversation.")


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


class AnthropicMessagesBody(OwnFields, Called, UnsupportedInMessages):
    """`POST /v1/messages`."""

    max_tokens: int = Field(ge=0, le=MOST_TOKENS, description="How many tokens to write at most.")
    stop_sequences: list[StopString] | None = Field(
        None, max_length=MAX_STOP_STRINGS, description="End just before any of these strings."
    )
    stream: bool | None = Field(None, description="Send the text as it is written, as events.")


class CountBody(Called, UnsupportedInCounts):
    """`POST /v1/messages/count_tokens`."""

    model: Name = Field(description="An id from `GET /v1/models`.")
