"""What a client may send under `/api`: Ollama's fields; in `options`, the catalog's too."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from penstock.api.ollama.fields import (
    CHAT_RULES,
    EMBED_RULES,
    GENERATE_RULES,
    OPTION_RULES,
    PULL_RULES,
)
from penstock.api.openai.fields import Rule, wire_fields
from penstock.api.openai.formats import MAX_TOOLS, ToolBody
from penstock.api.openai.schemas import MAX_INPUTS, MAX_MESSAGES, MOST_TOKENS, Choices
from penstock.api.playground.schemas import ADAPTER, KEEP_ALIVE, Strict
from penstock.api.playground.wire_types import (
    BRANCH,
    KeepAlive,
    Name,
    StopStrings,
    Text,
    check_text,
)

LATEST = ":latest"  # Ollama's clients append it to names without a tag


def _model_id(name: str) -> str:
    return name.removesuffix(LATEST) or name


ModelName = Annotated[Name, AfterValidator(_model_id)]


def _inputs(value: Any) -> tuple[str, ...]:
    """One or several texts."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_INPUTS:
        raise PydanticCustomError("input", f"Use a text, or a list of 1 to {MAX_INPUTS} texts")
    if not all(isinstance(text, str) and text for text in texts):
        raise PydanticCustomError("input", "Each text has at least one character")
    return tuple(map(check_text, texts))


INPUTS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Inputs = Annotated[Any, AfterValidator(_inputs), WithJsonSchema(INPUTS_SCHEMA)]


def _with(name: str, rules: Sequence[Rule]) -> Any:
    return create_model(name, __base__=Strict, **wire_fields(rules))


if TYPE_CHECKING:

    class UnsupportedOptions(BaseModel): ...

    class UnsupportedInGenerate(Strict): ...

    class UnsupportedInChat(Strict): ...

    class UnsupportedInEmbed(Strict): ...

    class UnsupportedInPull(Strict): ...

else:
    UnsupportedOptions = _with("UnsupportedOptions", OPTION_RULES)
    UnsupportedInGenerate = _with("UnsupportedInGenerate", GENERATE_RULES)
    UnsupportedInChat = _with("UnsupportedInChat", CHAT_RULES)
    UnsupportedInEmbed = _with("UnsupportedInEmbed", EMBED_RULES)
    UnsupportedInPull = _with("UnsupportedInPull", PULL_RULES)


Format = Annotated[
    Annotated[Literal["", "json"], Tag(f"{BRANCH}word")]
    | Annotated[dict[str, Any], Tag(f"{BRANCH}schema")],
    Discriminator(lambda value: f"{BRANCH}{'schema' if isinstance(value, dict) else 'word'}"),
]


class Options(Choices, UnsupportedOptions):
    """How the text is written."""

    num_predict: int | None = Field(
        None, ge=-2, le=MOST_TOKENS, description="Tokens at most; below 0, as many as fit."
    )
    num_ctx: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="Tokens at most, prompt included."
    )
    repeat_penalty: float | None = Field(
        None, ge=0.01, le=10, description="Another word for `repetition_penalty`."
    )
    stop: StopStrings | None = Field(None, description="End just before any of these strings.")


class Written(Strict):
    """What generating and chatting have in common."""

    model: ModelName = Field(description="An id from `GET /api/tags`.")
    options: Options | None = Field(None, description="How the text is written.")
    keep_alive: KeepAlive | None = KEEP_ALIVE
    stream: bool | None = Field(None, description="Send the text as it is written; else true.")
    format: Format | None = Field(
        None, description="The form of the answer: `json`, or a JSON schema; always followed."
    )
    logprobs: bool | None = Field(None, description="Report log-probabilities.")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="Of so many rivals too. Only with `logprobs`."
    )


class OllamaGenerateBody(Written, UnsupportedInGenerate):
    """`POST /api/generate`."""

    prompt: Text | None = Field(
        None, description="The text; without one the model is loaded, or unloaded."
    )
    system: Text | None = Field(None, description="What comes before the prompt.")
    raw: bool | None = Field(None, description="Take the prompt as it is, without a template.")


class OllamaCalledFunction(Strict):
    """The function that was called."""

    name: Name = Field(description="Its name.")
    arguments: dict[str, Any] = Field(description="What it was given.")
    index: int | None = Field(None, description="As it comes back in an answer.")


class OllamaCallBody(Strict):
    """A call that the assistant made, as it comes back in an answer."""

    id: Name | None = Field(None, description="Given to the model's chat template.")
    function: OllamaCalledFunction = Field(description="What was called.")


class OllamaTurnBody(Strict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"] = Field(
        description="Who speaks; `tool` answers a call."
    )
    content: Text | None = Field(None, description="What is said.")
    images: list[None] | None = Field(None, max_length=0, description="Models here read text.")
    thinking: Literal[""] | None = Field(None, description="No model here thinks apart.")
    tool_calls: Annotated[list[OllamaCallBody], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="The calls that the assistant made."
    )
    tool_name: Text | None = Field(None, description="Of the tool that answers.")
    tool_call_id: Name | None = Field(None, description="Of the call that is answered.")


class OllamaChatBody(Written, UnsupportedInChat):
    """`POST /api/chat`."""

    messages: list[OllamaTurnBody] = Field(
        default_factory=list,
        max_length=MAX_MESSAGES,
        description="The conversation so far; without one the model is loaded, or unloaded where "
        "`keep_alive` is 0. Where the last turn is the assistant's, it is continued.",
    )
    tools: Annotated[list[ToolBody], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="Functions that the model may call. Their arguments fit their schemas."
    )


class EmbedOptions(BaseModel):
    """Of Ollama's options only this says something of an embedding: nothing is drawn for one."""

    model_config = ConfigDict(extra="allow")

    adapter: Name | None = ADAPTER


EMBED_OPTIONS = Field(
    None, description="Only `adapter` counts; the others are for drawing, and nothing is drawn."
)


class EmbedBody(UnsupportedInEmbed):
    """`POST /api/embed`."""

    model: ModelName = Field(description="An id from `GET /api/tags`.")
    input: Inputs = Field(description="A text, or several.")
    options: EmbedOptions | None = EMBED_OPTIONS
    keep_alive: KeepAlive | None = KEEP_ALIVE
    truncate: bool | None = Field(
        None, description="Cut texts that do not fit, and say which; else they are refused."
    )
    dimensions: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="The model's own number; any other is refused."
    )


class EmbeddingsBody(UnsupportedInEmbed):
    """`POST /api/embeddings`, the former way to embed one text."""

    model: ModelName = Field(description="An id from `GET /api/tags`.")
    prompt: Annotated[Text, Field(min_length=1)] = Field(description="The text.")
    options: EmbedOptions | None = EMBED_OPTIONS
    keep_alive: KeepAlive | None = KEEP_ALIVE


class NamedBody(Strict):
    """What names a model. `DELETE /api/delete`."""

    model: ModelName | None = Field(None, description="An id from `GET /api/tags`.")
    name: ModelName | None = Field(None, description="The former name of `model`.")


class PullBody(NamedBody, UnsupportedInPull):
    """`POST /api/pull`."""

    stream: bool | None = Field(None, description="Tell how far it is; else true.")


class ShowBody(NamedBody):
    """`POST /api/show`."""

    verbose: bool | None = Field(None, description="Tell also the chat template.")
