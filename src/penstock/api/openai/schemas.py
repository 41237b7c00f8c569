"""What a client may send under `/v1`: OpenAI's fields, and ours by the names of the catalog."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from penstock.api.openai.fields import (
    CHAT_RULES,
    COMPLETION_RULES,
    EMBEDDING_RULES,
    OLD_TOOLS,
    Harmless,
    Refused,
    Rule,
    wire_fields,
)
from penstock.api.openai.formats import MAX_TOOLS, ResponseFormat, ToolBody, ToolChoice
from penstock.api.playground.schemas import (
    ADAPTER,
    KEEP_ALIVE,
    MAX_TIME_FIELD,
    DecodingFields,
    Strict,
)
from penstock.api.playground.wire_types import KeepAlive, Name, StopStrings, Text, check_text
from penstock.api.treatments import Parts
from penstock.types import MAX_LOGPROBS

MAX_PROMPTS = 16
MAX_INPUTS = 2048  # as many as OpenAI takes
MAX_MESSAGES = 512
MAX_CHOICES = 8
MAX_PARTS = 64
MOST_TOKENS = 1_000_000
PromptTokens = tuple[int, ...]
Prompt = str | PromptTokens


def _prompts(value: Any, most: int = MAX_PROMPTS) -> tuple[Prompt, ...]:
    """One or several prompts, each a text or token ids."""
    if isinstance(value, str) or _are_token_ids(value):
        value = [value]
    if not isinstance(value, list):
        raise PydanticCustomError("prompt", "Use a text, token ids, or a list of either")
    if not 1 <= len(value) <= most:
        raise PydanticCustomError("prompt", f"Send 1 to {most} of them")
    return tuple(_prompt(entry) for entry in value)


def _prompt(entry: Any) -> Prompt:
    if entry in ("", []):
        raise PydanticCustomError("prompt", "A prompt has at least one character or token")
    if isinstance(entry, str):
        return check_text(entry)
    if _are_token_ids(entry):
        return tuple(entry)
    raise PydanticCustomError("prompt", "Use a text, token ids, or a list of either")


def _are_token_ids(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(type(item) is int for item in value)


def _content(value: Any) -> str:
    """A message's text: a string, or parts of type `text`."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PARTS:
        raise PydanticCustomError("content", f"Use a string or 1 to {MAX_PARTS} parts of text")
    return "".join(_text_of_part(part) for part in value)


def _text_of_part(part: Any) -> str:
    match part:
        case {"type": "text", "text": str(text)} if part.keys() <= PARTS.known:
            return text
        case {"type": str(kind)} if kind != "text":
            raise PydanticCustomError("content", f"Models here read text, not {kind[:40]}")
    raise PydanticCustomError("content", 'Use parts like {"type": "text", "text": "..."}')


PARTS = Parts(
    honoured={"type": "`text`.", "text": "The text."},
    rules=(
        *(
            Refused(name=name, why="Models here read text.")
            for name in ("file", "image_url", "input_audio", "refusal")
        ),
        Harmless(
            name="prompt_cache_breakpoint", wire=dict[str, Any], why="A hint for OpenAI's cache."
        ),
    ),
)
TEXT_OR_PARTS: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]
}
PROMPTS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
    ]
}
Prompts = Annotated[Any, AfterValidator(_prompts), WithJsonSchema(PROMPTS_SCHEMA)]
Inputs = Annotated[
    Any, AfterValidator(partial(_prompts, most=MAX_INPUTS)), WithJsonSchema(PROMPTS_SCHEMA)
]
Content = Annotated[
    Any, AfterValidator(_content), AfterValidator(check_text), WithJsonSchema(TEXT_OR_PARTS)
]
Nothing = Annotated[list[Any], Field(max_length=0)] | None


class CalledFunction(Strict):
    """The function that was called."""

    name: Name = Field(description="Its name.")
    arguments: Text = Field(description="A JSON object, as JSON.")


class CallBody(Strict):
    """A call that the assistant made, as it comes back in an answer."""

    id: Name = Field(description="Its id.")
    type: Literal["function"] = Field("function", description="A function.")
    function: CalledFunction = Field(description="What was called.")
    custom: None = Field(None, description="Models here call functions only.")


class MessageBody(Strict):
    """One turn of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"] = Field(
        description="Who speaks. `developer` is another word for `system`; `tool` answers a call."
    )
    content: Annotated[Content | None, PARTS] = Field(
        None, description="A text, or parts of type `text`, which are joined."
    )
    name: Name | None = Field(None, description="Given to the model's chat template.")
    refusal: None = Field(None, description="As it comes back in an answer: null.")
    annotations: Nothing = Field(None, description="As they come back in an answer: none.")
    audio: None = Field(None, description="Models here write text.")
    function_call: None = Field(None, description=OLD_TOOLS)
    tool_calls: Annotated[list[CallBody], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="The calls that the assistant made."
    )
    tool_call_id: Name | None = Field(None, description="Of the call that a tool answers.")


class StreamOptions(Strict):
    """What a stream holds besides the text."""

    include_usage: bool | None = Field(None, description="Send the token counts at the end.")
    include_obfuscation: bool | None = Field(
        None, description="Pad each chunk, so that its size says nothing of the text."
    )


class Choices(DecodingFields):
    """How tokens are chosen, in every dialect. Decoding parameters come from the catalog."""

    strategy: Name | None = Field(
        None,
        description="An id from `GET /strategies`, which then also says what is used where nothing "
        "is sent. Left out, tokens are drawn as OpenAI draws them.",
    )
    min_new_tokens: int | None = Field(None, ge=0, le=MOST_TOKENS, description="As in `/generate`.")
    adapter: Name | None = ADAPTER
    seed: int | None = Field(
        None, ge=-(2**63), le=2**63 - 1, description="The same seed gives the same text."
    )
    max_time: float | None = MAX_TIME_FIELD


class OwnFields(Choices):
    """What every dialect takes beside its own fields, and which model it asks."""

    model: Name = Field(description="An id from `GET /v1/models`.")
    keep_alive: KeepAlive | None = KEEP_ALIVE


class SharedFields(OwnFields):
    """What completions and chats have in common."""

    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description="Choices per prompt.")
    stop: StopStrings | None = Field(None, description="End just before any of these strings.")
    stream: bool | None = Field(None, description="Send the text as it is written, as events.")
    stream_options: StreamOptions | None = Field(None, description="Only with `stream`.")
    response_format: ResponseFormat | None = Field(
        None,
        description="The form of the answer: `text`, `json_object` or `json_schema`, which is "
        "always followed.",
    )


def _with(rules: Sequence[Rule]) -> Any:
    return create_model("Unsupported", __base__=Strict, **wire_fields(rules))


if TYPE_CHECKING:

    class UnsupportedInCompletions(BaseModel): ...

    class UnsupportedInChats(BaseModel): ...

    class UnsupportedInEmbeddings(Strict): ...

else:
    UnsupportedInCompletions = _with(COMPLETION_RULES)
    UnsupportedInChats = _with(CHAT_RULES)
    UnsupportedInEmbeddings = _with(EMBEDDING_RULES)


class CompletionBody(SharedFields, UnsupportedInCompletions):
    """`POST /v1/completions`."""

    prompt: Prompts = Field(description="A text, token ids, or a list of either.")
    max_tokens: int | None = Field(
        None, ge=0, le=MOST_TOKENS, description="How many tokens to write at most; else 16."
    )
    best_of: int | None = Field(
        None,
        ge=1,
        le=MAX_CHOICES,
        description="Write so many and return the `n` with the best mean log-probability.",
    )
    echo: bool | None = Field(None, description="Put the prompt before each text.")
    logprobs: int | None = Field(
        None, ge=0, le=MAX_LOGPROBS, description="Log-probabilities, and of so many rivals."
    )


class ChatBody(SharedFields, UnsupportedInChats):
    """`POST /v1/chat/completions`."""

    messages: list[MessageBody] = Field(
        min_length=1, max_length=MAX_MESSAGES, description="The conversation so far."
    )
    max_completion_tokens: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="Tokens at most; else as many as fit."
    )
    max_tokens: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="The former name of `max_completion_tokens`."
    )
    logprobs: bool | None = Field(None, description="Report log-probabilities.")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="Of so many rivals too. Only with `logprobs`."
    )
    tools: Annotated[list[ToolBody], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="Functions that the model may call. Their arguments fit their schemas."
    )
    tool_choice: ToolChoice | None = Field(
        None, description="`none`, `auto`, `required`, or one function; else `auto`."
    )
    parallel_tool_calls: bool | None = Field(
        None, description="Whether one answer may hold several calls; else true."
    )
    add_generation_prompt: bool | None = Field(
        None, description="Open the assistant's turn; else true. Not in every model's template."
    )


class EmbeddingBody(UnsupportedInEmbeddings):
    """`POST /v1/embeddings`."""

    model: Name = Field(description="An id from `GET /v1/models`.")
    adapter: Name | None = ADAPTER
    keep_alive: KeepAlive | None = KEEP_ALIVE
    input: Inputs = Field(description="A text, token ids, or a list of either.")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="Numbers, or fp32 values in base64; else numbers."
    )
    dimensions: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="The model's own number; any other is refused."
    )
