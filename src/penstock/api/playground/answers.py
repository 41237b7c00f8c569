"""What a client gets in the playground dialect: the response objects, documented by their types.

Filled in `presenting.py`.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """A wire object that we fill ourselves."""

    model_config = ConfigDict(frozen=True)


class TokenAnswer(Answer):
    """A token with its log-probability under the model."""

    token: str
    token_id: int
    logprob: float


class StageAnswer(Answer):
    """The next token's distribution after one step of the chain."""

    name: str = Field(description="The step's parameter; `model` before the first step.")
    num_kept: int = Field(description="Tokens that can still be chosen.")
    mass_kept: float = Field(description="What their probability was before this step.")
    entropy_bits: float
    top: list[TokenAnswer]


class ChosenTokenAnswer(TokenAnswer):
    """A chosen token and its most probable rivals."""

    top: list[TokenAnswer]
    stages: list[StageAnswer] | None = Field(
        None, description="With `trace`.", exclude_if=lambda stages: stages is None
    )
    named: list[TokenAnswer] | None = Field(
        None,
        description="With `named_tokens`, in their order.",
        exclude_if=lambda named: named is None,
    )


class LoopAnswer(Answer):
    """That a text has come to repeat itself, and what helps."""

    start: int = Field(description="How many tokens were written before the loop.")
    period: int = Field(description="How many tokens are repeated.")
    times: float = Field(description="How often they stand there.")
    advice: str
    settings: dict[str, Any] = Field(description="The advice as fields of the next request.")


class SequenceAnswer(Answer):
    """One text, without the prompt."""

    text: str
    finish_reason: Literal["stop", "length", "time", "cancelled"]
    tokens: int
    score: float | None = Field(description="Length-normalised log-probability, from beams.")
    logprobs: list[ChosenTokenAnswer] | None
    loop: LoopAnswer | None = Field(
        None,
        description="Where the text ends in a loop.",
        exclude_if=lambda loop: loop is None,
    )
    missing_words: list[int] = Field(
        [],
        description="Places in `force_words`, from 0, of the words that are not in the text.",
        exclude_if=lambda places: not places,
    )


class StepAnswer(Answer):
    """A post-processing step as it was applied, so that it can be undone."""

    step: str
    removed: int = Field(description="Characters fewer than before.")
    before: str
    after: str


class UsageAnswer(Answer):
    """How many tokens went in and came out."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int = Field(description="Of the prompt, computed for an earlier request.")


class TimingsAnswer(Answer):
    """Where the time went."""

    queue_ms: float
    prompt_ms: float
    first_token_ms: float
    generation_ms: float
    tokens_per_second: float


class TreeNodeAnswer(Answer):
    """A candidate of the beams: one more token than its parent."""

    node: int
    parent: int = Field(description="0 is the prompt.")
    token: str
    token_id: int
    score: float = Field(
        description="Log-probability with penalties; of a complete text, length-normalised."
    )
    group: int = Field(description="Of beams that compete with one another.")
    finish_reason: str | None = Field(
        None, description="Of a complete text.", exclude_if=lambda reason: reason is None
    )


class TreeStepAnswer(Answer):
    """What one step did to the tree of beams."""

    step: int
    expand: list[TreeNodeAnswer] = Field(description="Candidates that live on.")
    prune: list[int] = Field(
        description="Nodes that nothing goes on from, and texts that better ones replaced."
    )
    finish: list[TreeNodeAnswer] = Field(description="Texts that are complete.")
    returned: list[int] = Field(description="At the end, the nodes of the texts that are returned.")


class GenerateAnswer(Answer):
    """The whole answer to a generation."""

    id: str
    generated_text: str = Field(
        description="Prompt and first text, after post-processing; of an encoder-decoder model "
        "the text alone."
    )
    prompt: str
    rendered_prompt: str = Field(description="What the model saw.")
    model: str
    adapter: str | None = Field(
        None, description="On top of the model.", exclude_if=lambda adapter: adapter is None
    )
    continues_prompt: bool = Field(
        description="Whether the text goes on where the prompt ends; an encoder-decoder model "
        "answers it with a text of its own."
    )
    strategy: str
    parameters: dict[str, Any]
    unused_parameters: list[str] = Field(description="Sent, but the strategy does not use them.")
    seed: int
    sequences: list[SequenceAnswer]
    postprocess: list[StepAnswer]
    usage: UsageAnswer
    timings: TimingsAnswer
    receipt: str
    cached: bool = Field(
        False,
        description="The answer was computed for an earlier request.",
        exclude_if=lambda cached: not cached,
    )
    beam_tree: list[TreeStepAnswer] | None = Field(
        None, description="With `beam_tree`.", exclude_if=lambda steps: steps is None
    )


class ErrorDetail(Answer):
    """What went wrong and what to do."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorAnswer(Answer):
    """The error object, the same on every route."""

    error: ErrorDetail


class GenerateTextAnswer(Answer):
    """Each model's texts, and why a model has none."""

    generated_texts: dict[str, list[str]]
    errors: dict[str, str]
