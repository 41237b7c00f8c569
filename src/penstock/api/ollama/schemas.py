"""What a client may send under `/api`: Ollama's fields; in `options`, the catalog's too."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from penstock.api.ollama.fields import CHAT_RULES, EMBED_RULES, GENERATE_RULES, OPTION_RULES
from penstock.api.openai.fields import Rule, wire_fields
from penstock.api.openai.schemas import MAX_INPUTS, MAX_MESSAGES, MOST_TOKENS, Choices
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, StopStrings, Text, check_text

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

else:
    UnsupportedOptions = _with("UnsupportedOptions", OPTION_RULES)
    UnsupportedInGenerate = _with("UnsupportedInGenerate", GENERATE_RULES)
    UnsupportedInChat = _with("UnsupportedInChat", CHAT_RULES)
    UnsupportedInEmbed = _with("UnsupportedInEmbed", EMBED_RULES)


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
    stream: bool | None = Field(None, description="Send the text as it is written; else true.")
    logprobs: bool | None = Field(None, description="Report log-probabilities.")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="Of so many rivals too. Only with `logprobs`."
    )


class OllamaGenerateBody(Written, UnsupportedInGenerate):
    """`POST /api/generate`."""

    prompt: Text | None = Field(None, description="The text; without one the model is loaded.")
    system: Text | None = Field(None, description="What comes before the prompt.")
    raw: bool | None = Field(None, description="Take the prompt as it is, without a template.")


class OllamaTurnBody(Strict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks.")
    content: Text | None = Field(None, description="What is said.")
    images: list[None] | None = Field(None, max_length=0)
    thinking: Literal[""] | None = None
    tool_calls: list[None] | None = Field(None, max_length=0)
    tool_name: Literal[""] | None = None


class OllamaChatBody(Written, UnsupportedInChat):
    """`POST /api/chat`."""

    messages: list[OllamaTurnBody] = Field(
        default_factory=list,
        max_length=MAX_MESSAGES,
        description="The conversation so far; without one the model is loaded. Where the last turn "
        "is the assistant's, it is continued.",
    )


class EmbedBody(UnsupportedInEmbed):
    """`POST /api/embed`."""

    model: ModelName = Field(description="An id from `GET /api/tags`.")
    input: Inputs = Field(description="A text, or several.")
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


class ShowBody(Strict):
    """`POST /api/show`."""

    model: ModelName | None = Field(None, description="An id from `GET /api/tags`.")
    name: ModelName | None = Field(None, description="The former name of `model`.")
    verbose: bool | None = Field(None, description="Tell also the chat template.")
