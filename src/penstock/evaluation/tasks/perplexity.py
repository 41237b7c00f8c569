"""Perplexity per token and per word, and bits per byte: only the last two compare tokenizers."""

import math

from penstock.evaluation.figures import Figure, Kind, figure
from penstock.evaluation.tasks.interface import Found, Stage, Task

PER_TOKEN = Kind(
    name="perplexity",
    label="Perplexity per token",
    unit="per token",
    better="lower",
    aggregate="exp_ratio",
)
PER_WORD = Kind(
    name="perplexity_per_word",
    label="Perplexity per word",
    unit="per word",
    better="lower",
    aggregate="exp_ratio",
)
BITS_PER_BYTE = Kind(
    name="bits_per_byte", label="Bits per byte", unit="bits per byte", better="lower"
)


def _figures(found: Found) -> list[Figure]:
    by_row = {text.row: text for text in found.scored}
    return [
        figure(PER_TOKEN, {row: (t.nats, t.num_tokens) for row, t in by_row.items()}),
        figure(PER_WORD, {row: (t.nats, t.num_words) for row, t in by_row.items()}),
        figure(
            BITS_PER_BYTE, {row: (t.nats / math.log(2), t.num_bytes) for row, t in by_row.items()}
        ),
    ]


TASK = Task(
    id="perplexity",
    description="How well the model foretells the texts, weighted by their tokens.",
    stage=Stage.SCORE,
    figures=_figures,
)
