"""How like a text is to references: BLEU, chrF and ROUGE by their reference implementations.

Knows sacrebleu and rouge-score, which are imported when they are asked for; no models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from penstock.errors import EvaluationError
from penstock.evaluation.intervals import Statistics

Kind = Literal["bleu", "chrf"]
ROUGE = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True)
class CorpusMetric:
    """BLEU or chrF of sacrebleu (Post 2018), with its defaults unless options are given."""

    kind: Kind
    options: tuple[tuple[str, Any], ...] = ()

    def statistics(self, text: str, references: Sequence[str]) -> list[float]:
        """The counts of one text whose sums over a corpus give the corpus's score."""
        found = _metric(self)._extract_corpus_statistics([text], [[r] for r in references])
        return [float(count) for count in found[0]]

    def score(self, sums: Statistics) -> float:
        """0 to 100, from the sums of `statistics`."""
        numbers = [int(n) for n in np.rint(sums)]
        return float(_metric(self)._compute_score_from_stats(numbers).score)

    def signature(self, num_references: str) -> str:
        """What must be told with the score so that others can get the same."""
        _metric(self).num_refs = num_references
        return str(_metric(self).get_signature())


BLEU = CorpusMetric("bleu")
CHRF = CorpusMetric("chrf")


@cache
def _metric(metric: CorpusMetric) -> Any:
    try:
        from sacrebleu import metrics  # noqa: PLC0415  # slow to import
    except ImportError:
        raise missing("sacrebleu") from None
    made = metrics.BLEU if metric.kind == "bleu" else metrics.CHRF
    return made(**dict(metric.options))


def rouge(text: str, references: Sequence[str]) -> dict[str, float]:
    """The F-measure, 0 to 100, of the reference that is nearest (Lin 2004); without stemming."""
    found = [_scorer().score(reference, text) for reference in references]
    return {name: 100 * max(scores[name].fmeasure for scores in found) for name in ROUGE}


def rouge_signature() -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return f"rouge-score:{version('rouge-score')}|stemmer:no|best of references"


@cache
def _scorer() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415  # slow to import
    except ImportError:
        raise missing("rouge-score") from None
    return RougeScorer(list(ROUGE), use_stemmer=False)


def missing(package: str) -> EvaluationError:
    """What is needed for this metric is not installed."""
    return EvaluationError(
        f"The package {package} is not installed.",
        "Install it with `pip install 'penstock[eval]'`, or choose other tasks.",
        param="tasks",
    )
