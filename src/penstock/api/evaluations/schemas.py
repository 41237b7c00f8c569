"""What a client sends to have a model evaluated, and what it is told. Values and words only."""

from typing import Annotated, Any, Literal

from pydantic import Field

from penstock.api.playground.answers import Answer
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, Text

MAX_ROWS = 10_000
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class RowBody(Strict):
    """A row; which of its fields it has decides which tasks can use it."""

    text: Text | None = Field(None, description="To be foretold.")
    prompt: Text | None = Field(None, description="To be answered.")
    references: list[Text] | None = Field(None, description="Good answers.", max_length=64)
    choices: list[Text] | None = Field(None, description="Answers to choose from.", max_length=64)
    answer: Annotated[int, Field(ge=0)] | Text | None = Field(
        None, description="The right choice: its place from 0, its letter, or its text."
    )


class EvaluationBody(Strict):
    """`POST /evaluations`."""

    model: Name | None = Field(None, description="An id from `GET /models`; else the default.")
    adapter: Name | None = Field(None, description="A LoRA adapter on top of the model.")
    rows: list[RowBody] | None = Field(
        None, min_length=1, max_length=MAX_ROWS, description="The rows themselves, or else `file`."
    )
    file: Name | None = Field(None, description="An uploaded file of rows, by its id.")
    tasks: list[Name] | None = Field(
        None, min_length=1, max_length=32, description="From `GET /evaluations/tasks`."
    )
    limit: int | None = Field(None, ge=1, le=1_000_000, description="Rows at most.")
    stride: int | None = Field(
        None, ge=1, le=1_000_000, description="Tokens by which windows over long texts move on."
    )
    with_start: bool = Field(True, description="Put the token that begins texts before each.")
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Tokens of an answer at most.")
    strategy: Name = Field("greedy", description="How answers are written.")
    parameters: dict[Name, Any] = Field(
        {}, description="The strategy's, as in `POST /generate`.", max_length=64
    )
    stop: list[Text] = Field([], max_length=4, description="Texts before which an answer ends.")
    seed: int = Field(0, ge=0, le=2**53 - 1, description="The same seed, the same answers.")
    skip_bad_rows: bool = Field(False, description="Leave out rows that cannot be used.")


class ProgressAnswer(Answer):
    """How far a stage is."""

    stage: str
    num_done: int
    num_total: int
    tokens_per_second: float
    seconds_left: float | None


class FigureAnswer(Answer):
    """A figure, and where it lies at 95 %."""

    name: str
    label: str
    unit: str
    better: str
    value: float | None
    low: float | None
    high: float | None
    num_rows: int
    signature: str
    problem: str = Field(description="Why there is no value.")


class ChangeAnswer(Answer):
    """How a figure changed, on the rows that both evaluations have."""

    name: str
    label: str
    unit: str
    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    p_value: float | None
    num_rows: int
    verdict: str


class EvaluationAnswer(Answer):
    """An evaluation as it is now."""

    id: str
    state: State
    model: str
    adapter: str | None
    tasks: list[str]
    data: str
    created_at: float = Field(description="Seconds since 1970.")
    progress: ProgressAnswer | None
    error: dict[str, Any] | None = Field(description="Why it failed.")
    figures: list[FigureAnswer] | None = Field(description="Once it has succeeded.")


class EvaluationsAnswer(Answer):
    """The latest evaluations, newest first."""

    evaluations: list[EvaluationAnswer]


class ChangesAnswer(Answer):
    """What changed from one evaluation to another."""

    before: str
    after: str
    changes: list[ChangeAnswer]
