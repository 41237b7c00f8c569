"""What a client gets of a comparison, documented by its types."""

from pydantic import Field

from penstock.api.playground.answers import Answer, ErrorAnswer, GenerateAnswer


class TextMetrics(Answer):
    """Figures of one text. Those in words can be compared across models."""

    tokens: int
    words: int
    distinct_1: float | None = Field(description="Share of different words.")
    distinct_2: float | None = Field(description="Share of different pairs of words.")
    distinct_3: float | None = Field(description="Share of different triples of words.")
    repetition: float | None = Field(
        description="Share of runs of four words that had occurred before."
    )
    loop_start: int | None = Field(description="From which token on it repeats itself.")
    perplexity: float | None = Field(
        description="Among how many equally likely tokens each choice was, on average, for the "
        "model that judges."
    )
    problem: str | None = Field(description="Why there is no perplexity.")


class ColumnMetrics(Answer):
    """Figures of one column."""

    column: int
    latency_ms: float = Field(description="From asking to the last token.")
    texts: list[TextMetrics]


class GroupMetrics(Answer):
    """Figures of all texts that were written in the same way, with different seeds."""

    columns: list[int]
    num_texts: int
    self_bleu: float | None = Field(
        description="How much the texts are like one another, 0 to 1; null for a single text."
    )


class CompareMetrics(Answer):
    """Figures of a comparison. A column that failed has none."""

    perplexity_model: str
    columns: list[ColumnMetrics]
    groups: list[GroupMetrics]


class CompareAnswer(Answer):
    """One prompt's columns, in the order asked."""

    prompt: str
    columns: list[GenerateAnswer | ErrorAnswer]
    metrics: CompareMetrics | None = Field(
        None, description="With `metrics`.", exclude_if=lambda metrics: metrics is None
    )
