"""BLEU (Papineni et al. 2002) of the answers, by sacrebleu."""

from penstock.evaluation.figures import Figure, Kind, figure
from penstock.evaluation.references import BLEU, CorpusMetric
from penstock.evaluation.tasks.interface import Found, Stage, Task

KIND = Kind(name="bleu", label="BLEU", unit="0 to 100", better="higher", aggregate="bleu")


def corpus_figure(kind: Kind, metric: CorpusMetric, found: Found) -> Figure:
    """A corpus's score, which is not the mean of its texts' scores."""
    counts = {len(text.references) for text in found.answered}
    num_references = str(*counts) if len(counts) == 1 else "var"
    return figure(
        kind,
        {t.row: metric.statistics(t.text, t.references) for t in found.answered},
        signature=metric.signature(num_references) if counts else "",
    )


TASK = Task(
    id="bleu",
    description="How many runs of words the answers share with the references.",
    stage=Stage.WRITE,
    figures=lambda found: [corpus_figure(KIND, BLEU, found)],
)
