"""Distinct-1, -2 and -3 (Li et al. 2016): how varied each answer is."""

from penstock.evaluation.diversity import distinct, words_of
from penstock.evaluation.figures import Figure, Kind, mean
from penstock.evaluation.tasks.interface import Found, Stage, Task

SIZES = (1, 2, 3)


def _figures(found: Found) -> list[Figure]:
    words = {text.row: words_of(text.text) for text in found.written}
    return [
        mean(
            Kind(
                name=f"distinct_{size}",
                label=f"Distinct-{size}",
                unit="share of words or runs, mean over texts",
                better="neither",
            ),
            {row: distinct(found_words, size) for row, found_words in words.items()},
        )
        for size in SIZES
    ]


TASK = Task(
    id="distinct",
    description="How many of an answer's words and runs of words are different.",
    stage=Stage.WRITE,
    figures=_figures,
)
