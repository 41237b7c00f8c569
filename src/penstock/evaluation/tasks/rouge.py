"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) of the answers, by rouge-score."""

from penstock.evaluation.figures import Figure, Kind, mean
from penstock.evaluation.references import ROUGE, rouge, rouge_signature
from penstock.evaluation.tasks.interface import Found, Stage, Task

LABELS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}


def _figures(found: Found) -> list[Figure]:
    scores = {text.row: rouge(text.text, text.references) for text in found.answered}
    signature = rouge_signature() if scores else ""
    return [
        mean(
            Kind(name=name.lower(), label=LABELS[name], unit="F, 0 to 100", better="higher"),
            {row: score[name] for row, score in scores.items()},
            signature=signature,
        )
        for name in ROUGE
    ]


TASK = Task(
    id="rouge",
    description="How much of the references is in the answers and the other way round.",
    stage=Stage.WRITE,
    figures=_figures,
)
