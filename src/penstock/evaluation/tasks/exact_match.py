"""Exact match (Rajpurkar et al. 2016): answers that are a reference, but for case and marks."""

import re
import unicodedata

from penstock.evaluation.figures import Kind, mean
from penstock.evaluation.tasks.interface import Stage, Task

KIND = Kind(name="exact_match", label="Exact match", unit="%", better="higher")
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> str:
    """In lower case, without articles and marks, one space between words."""
    kept = "".join(c for c in text.lower() if not unicodedata.category(c).startswith("P"))
    return " ".join(ARTICLES.sub(" ", kept).split())


def matches(text: str, references: tuple[str, ...]) -> bool:
    """Whether the first line of an answer is one of the references."""
    answer = text.strip().partition("\n")[0]
    return normalised(answer) in {normalised(reference) for reference in references}


TASK = Task(
    id="exact_match",
    description="How many answers are, in their first line, one of the references.",
    stage=Stage.WRITE,
    figures=lambda found: [
        mean(KIND, {t.row: 100.0 * matches(t.text, t.references) for t in found.answered})
    ],
)
