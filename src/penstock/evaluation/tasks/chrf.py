"""chrF (Popović 2015) of the answers, by sacrebleu."""

from penstock.evaluation.figures import Kind
from penstock.evaluation.references import CHRF
from penstock.evaluation.tasks.bleu import corpus_figure
from penstock.evaluation.tasks.interface import Stage, Task

KIND = Kind(name="chrf", label="chrF", unit="0 to 100", better="higher", aggregate="chrf")
TASK = Task(
    id="chrf",
    description="How many runs of characters the answers share with the references.",
    stage=Stage.WRITE,
    figures=lambda found: [corpus_figure(KIND, CHRF, found)],
)
