"""What a client may send to `/v1/responses`: a text or items, and what came before."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema, create_model

from penstock.api.openai.fields import Labels, wire_fields
from penstock.api.openai.formats import MAX_TOOLS
from penstock.api.openai.response_fields import RESPONSE_RULES
from penstock.api.openai.response_forms import ResponseToolBody, ResponseToolChoice, TextConfig
from penstock.api.openai.response_items import ITEM, read_input
from penstock.api.openai.schemas import MOST_TOKENS, OwnFields
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, Text

LOGPROBS = "message.output_text.logprobs"
INPUT_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}
Input = Annotated[Any, AfterValidator(read_input), WithJsonSchema(INPUT_SCHEMA)]

if TYPE_CHECKING:

    class UnsupportedInResponses(BaseModel): ...

else:
    UnsupportedInResponses = create_model(
        "UnsupportedInResponses", __base__=Strict, **wire_fields(RESPONSE_RULES)
    )


class ResponseStreamOptions(Strict):
    """What a stream holds besides the text."""

    include_obfuscation: Literal[False] | None = Field(
        None, description="Chunks are padded under `/v1/chat/completions` and `/v1/completions`."
    )


class ResponseBody(OwnFields, UnsupportedInResponses):
    """`POST /v1/responses`."""

    input: Annotated[Input, ITEM] = Field(
        description="A text, or messages of text, calls of functions and their answers."
    )
    instructions: Text | None = Field(None, description="What comes before the conversation.")
    previous_response_id: Name | None = Field(
        None, description="The response that this one goes on from, with all before it."
    )
    max_output_tokens: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="Tokens at most; else as many as fit."
    )
    text: TextConfig | None = Field(None, description="How the text is to be: its form.")
    tools: Annotated[list[ResponseToolBody], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="Functions that the model may call. Their arguments fit their schemas."
    )
    tool_choice: ResponseToolChoice | None = Field(
        None, description="`none`, `auto`, `required`, or one function; else `auto`."
    )
    parallel_tool_calls: bool | None = Field(
        None, description="Whether one answer may hold several calls; else true."
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
