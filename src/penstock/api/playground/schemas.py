"""What a client may send in the playground dialect. Unknown and out-of-range fields are refused.

A decoding parameter has no line here: its type, range and words come from the catalog.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from penstock.api.playground.wire_types import (
    WIRE_TYPES,
    KeepAlive,
    Name,
    NamedToken,
    StopStrings,
    Text,
)
from penstock.decoding.parameters import Parameter, request
from penstock.decoding.strategies import PARAMETERS
from penstock.types import LONGEST, MAX_LOGPROBS, MAX_SEED, MAX_TIME, MIN_TIME, NEUTRAL

MAX_EXAMPLES = 64
MAX_STEPS = 16
MAX_CODE_LENGTH = 1000
MAX_COLUMNS = 8
MAX_RUNS = 64
MAX_SEEDS = 32
MAX_NAMES = 16
KEEP_ALIVE = Field(
    None,
    description="How long the model stays loaded without a request: seconds, `10m`, `2h`, 0 to "
    "unload it after this, -1 for ever. Holds until another is sent. A model that was loaded at "
    "start stays where nothing is sent.",
)
ADAPTER = Field(None, description="A name from `GET /adapters`, on top of the model.")

MAX_TIME_FIELD = Field(
    None,
    ge=MIN_TIME,
    le=MAX_TIME,
    description="Seconds the text may take, waiting included; then it ends as it stands.",
)


MAX_NAMED = 100
NamedTokens = Annotated[list[NamedToken], Field(min_length=1, max_length=MAX_NAMED)]
NAMED_TOKENS = Field(
    None,
    description="Report these tokens' log-probabilities too, at every place: token ids, or texts "
    "that are one token each.",
)


def _from_catalog(parameter: Parameter, **changes: Any) -> Any:
    """A field with the parameter's range and words. Left out, it takes the strategy's default."""
    limits = {
        "ge": parameter.minimum,
        "le": parameter.maximum,
        "max_length": LONGEST.get(parameter.name) if parameter.kind == "text" else None,
    } | changes
    known = {name: limit for name, limit in limits.items() if limit is not None}
    return Field(default=None, description=f"{parameter.description} {parameter.effect}", **known)


def _shown_as(example: dict[str, Any]) -> ConfigDict:
    """What the documentation offers to try, instead of every field at once."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class Strict(BaseModel):
    """A wire object: no field it does not know, no number out of a string."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Example(Strict):
    """One worked example that is put before the prompt."""

    input: Text = Field(description="What is given.")
    output: Text = Field(description="What is wanted.")


def _decoding_fields() -> dict[str, Any]:
    """A field for every decoding parameter that some strategy uses."""
    return {
        name: (WIRE_TYPES[PARAMETERS[name].kind] | None, _from_catalog(PARAMETERS[name]))
        for name in NEUTRAL
        if name in PARAMETERS
    }


if TYPE_CHECKING:
    DecodingFields = Strict
else:
    DecodingFields = create_model("DecodingFields", __base__=Strict, **_decoding_fields())


class GenerationFields(DecodingFields):
    """Everything that can be asked of a generation, but the prompt."""

    model: Name | None = Field(None, description="An id from `GET /models`; else the default.")
    adapter: Name | None = ADAPTER
    strategy: Name | None = Field(None, description="An id from `GET /strategies`.")
    max_length: int | None = Field(
        None, ge=1, le=1_000_000, description="Total tokens at most, prompt included."
    )
    max_new_tokens: int | None = _from_catalog(request.MAX_NEW_TOKENS)
    min_new_tokens: int | None = _from_catalog(request.MIN_NEW_TOKENS)
    num_return_sequences: int | None = _from_catalog(request.NUM_RETURN_SEQUENCES)
    control_code: Text | None = _from_catalog(
        request.CONTROL_CODE, min_length=1, max_length=MAX_CODE_LENGTH
    )
    system_prompt: Text | None = Field(None, description="Put before the prompt and the examples.")
    examples: list[Example] | None = Field(
        None, max_length=MAX_EXAMPLES, description="Worked examples, put before the prompt."
    )
    postprocess: list[Name] | None = Field(
        None,
        max_length=MAX_STEPS,
        description="Steps that tidy the text: `strip_prompt`, `drop_repeated_lines`, "
        "`limit_words:200`. Each is reported, so it can be undone.",
    )
    stop: StopStrings | None = _from_catalog(request.STOP)
    seed: int | None = _from_catalog(request.SEED, le=MAX_SEED)
    logprobs: int | None = Field(
        None,
        ge=0,
        le=MAX_LOGPROBS,
        description="How many alternatives to report beside each token.",
    )
    keep_alive: KeepAlive | None = KEEP_ALIVE
    max_time: float | None = MAX_TIME_FIELD
    trace: int | None = Field(
        None,
        ge=0,
        le=MAX_LOGPROBS,
        description="Report for each token what every step of the chain kept, with so many "
        "candidates of each.",
    )
    named_tokens: NamedTokens | None = NAMED_TOKENS
    beam_tree: bool | None = Field(
        None, description="Tell how the beams grow, step by step. For strategies with beams."
    )


PromptField = Annotated[Text, Field(min_length=1, description="Text to continue.")]


class Prompted(Strict):
    """What has a prompt."""

    prompt: PromptField
    stream: bool = Field(False, description="Send the text as it is written, as events.")


class GenerateBody(GenerationFields, Prompted):
    """`POST /generate`."""

    model_config = _shown_as({"prompt": "Once upon a time", "max_new_tokens": 60})


class CompareBody(GenerationFields, Prompted):
    """`POST /compare`. Fields beside `columns` are defaults for all of them."""

    model_config = _shown_as(
        {
            "prompt": "Once upon a time",
            "max_new_tokens": 60,
            "columns": [{"strategy": "greedy"}, {"strategy": "sampling", "temperature": 1.1}],
        }
    )

    columns: list[GenerationFields] = Field(
        [GenerationFields()],
        min_length=1,
        max_length=MAX_COLUMNS,
        description="What differs, column by column.",
    )
    strategies: list[Name] | None = Field(
        None, min_length=1, max_length=MAX_NAMES, description="Each column with each of these."
    )
    models: list[Name] | None = Field(
        None, min_length=1, max_length=MAX_NAMES, description="Each column with each of these."
    )
    seeds: list[Annotated[int, Field(ge=0, le=MAX_SEED)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_SEEDS,
        description=f"Each column with each of these. In all there may be {MAX_RUNS} columns.",
    )
    metrics: bool = Field(False, description="Measure every text: see `metrics` in the answer.")
    perplexity_model: Name | None = Field(
        None,
        description="The model that tells how expected each text is; else the first column's. "
        "Needs `metrics`.",
    )


class GenerateTextBody(Strict):
    """`POST /generate-text/`: one prompt, several models."""

    model_config = _shown_as({"prompt": "Once upon a time"})

    prompt: Annotated[Text, Field(min_length=1)] = Field(description="Text to continue.")
    max_length: int = Field(100, ge=1, le=1_000_000, description="Total tokens at most.")
    num_return_sequences: int = Field(1, ge=1, le=8, description="Texts per model.")
    temperature: float = Field(1.0, ge=0, le=2, description=PARAMETERS["temperature"].description)
    top_p: float = Field(0.9, ge=0, le=1, description=PARAMETERS["top_p"].description)
    top_k: int = Field(50, ge=0, le=1_000_000, description=PARAMETERS["top_k"].description)
    models: list[Name] | None = Field(
        None, min_length=1, max_length=16, description="Which; else the configured ones."
    )


def _ranges() -> Iterator[tuple[str, tuple[float, float]]]:
    for name, field in GenerationFields.model_fields.items():
        limits = {k: getattr(m, k) for m in field.metadata for k in ("ge", "le") if hasattr(m, k)}
        if limits.keys() == {"ge", "le"}:
            yield name, (limits["ge"], limits["le"])


RANGES: Mapping[str, tuple[float, float]] = dict(_ranges())
